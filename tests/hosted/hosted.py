"""The hosted side for tests: display-bridge, clients that do as told, and an agent in Python that may misbehave.

Environment, set by meson.build: DISPLAY_BRIDGE, GUEST_AGENT, DRM_CLIENT (programs), PROTO_DIR (bridge_wire.py).
"""

import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), os.environ["PROTO_DIR"]]

import bridge_wire as wire  # noqa: E402
from daemon import start_ready  # noqa: E402

TIMEOUT_S = 30
O_RDONLY, O_RDWR, O_STAT = 0x10000, 0x30000, 0x20000000
PROT_WRITE, PROT_READ = 2, 4
MAP_SHARED, MAP_PRIVATE = 1, 2

# Numbers and fixed parts of the ioctls that tests send as raw payloads.
VERSION, SET_VERSION, GET_CAP = 0x00, 0x07, 0x0C
GETRESOURCES, GETCRTC, SETCRTC, GETCONNECTOR = 0xA0, 0xA1, 0xA2, 0xA7
GETPROPBLOB, DIRTYFB, CREATE_DUMB, MAP_DUMB, DESTROY_DUMB = 0xAC, 0xB1, 0xB2, 0xB3, 0xB4
CURSOR2 = 0xBB
FIRST_CRTC = 0x20


class RedoxError(Exception):
    """An errno that the client got."""

    def __init__(self, error):
        super().__init__(f"errno {error}")
        self.error = error


class Client:
    """A drm_client process."""

    def __init__(self, environment):
        self.process = subprocess.Popen([os.environ["DRM_CLIENT"]], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        bufsize=1)

    def send(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def answered(self, timeout_s):
        return bool(select.select([self.process.stdout], [], [], timeout_s)[0])

    def answer(self, timeout_s=TIMEOUT_S):
        if not self.answered(timeout_s):
            raise TimeoutError("the client does not answer: it hangs in a call")
        words = self.process.stdout.readline().split()
        if not words or words[0] != "ok":
            raise RedoxError(int(words[1])) if words and words[1:] and words[1].isdigit() else RuntimeError(f"client: {words}")
        return words[1:]

    def do(self, *words):
        self.send(*words)
        return self.answer()

    def open(self, path, flags=O_RDWR):
        return int(self.do("open", path, flags)[0])

    def call(self, fd, nr, payload):
        """A Call with metadata NR; returns the payload that came back."""
        words = self.do("call", fd, nr, payload.hex() or "-")
        return bytes.fromhex(words[1]) if len(words) > 1 else b""

    def read_all(self, path):
        fd = self.open(path, O_RDONLY)
        data = b""
        while True:
            words = self.do("read", fd, 3000)
            if not words:
                break
            data += bytes.fromhex(words[0])
        self.do("close", fd)
        return data

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def end(self):
        try:
            self.process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self.process.returncode


class Shown:
    """What `show` of a client made: a buffer on the first CRTC."""

    def __init__(self, client, path, width, height, folder, words=None):
        words = words or client.do("show", path, width, height)
        self.client, self.width, self.height, self.folder = client, width, height, folder
        self.fd, self.fb, self.map, self.pitch, self.crtc, self.connector = (int(word) for word in words)

    def draw(self, pixels):
        """Loads PIXELS (rows of the pitch) into the buffer."""
        path = Path(self.folder) / f"pixels-{os.getpid()}"
        path.write_bytes(pixels)
        self.client.do("load", self.map, path)

    def dirty(self, box=None):
        x1, y1, x2, y2 = box or (0, 0, self.width, self.height)
        self.client.do("dirty", self.fd, self.fb, x1, y1, x2, y2)

    def noise(self, source):
        pixels = source.randbytes(self.pitch * self.height)
        self.draw(pixels)
        return pixels


def mode(width, height, name=None):
    return wire.Mode(clock=1000, hdisplay=width, hsync_start=width + 8, hsync_end=width + 16, htotal=width + 40, hskew=0, vdisplay=height,
                     vsync_start=height + 1, vsync_end=height + 2, vtotal=height + 4, vscan=0, vrefresh=60, flags=0, type=0x48,
                     name=name or f"{width}x{height}")


class Connection:
    """One connection of the bridge to the agent in Python."""

    def __init__(self, stream, greet=True, version=1, role=wire.Role.AGENT):
        self.stream = stream
        stream.settimeout(TIMEOUT_S)
        self.screens = {}
        self.commits = 0
        self.pixel_bytes = 0
        self.generation = 0
        if greet:
            self.send(wire.Hello(version=version, role=role, epoch=random.getrandbits(63), features=0, frame_max=wire.FRAME_MAX,
                                 name="agent in Python"))
            self.hello = self.receive()
            assert isinstance(self.hello, wire.Hello), self.hello

    def send(self, message):
        self.stream.sendall(wire.frame(message))

    def send_raw(self, opcode, payload):
        self.stream.sendall(wire.HEADER.pack(len(payload), opcode, 0, 0) + payload)

    def receive(self):
        return wire.read_frame(self.stream)[0]

    def topology(self, names=("Virtual-1",), modes=((64, 48),), crtcs=1):
        self.generation += 1
        self.send(wire.TopologyBegin(generation=self.generation, driver="python", width_min=0, width_max=4096, height_min=0,
                                     height_max=4096, cursor_width=64, cursor_height=64, crtcs=crtcs, connectors=len(names)))
        for index in range(crtcs):
            self.send(wire.Crtc(index=index, gamma_size=0))
        for index, name in enumerate(names):
            self.send(wire.Connector(index=index, name=name, type=11, type_id=index + 1, connection=1, width_mm=300, height_mm=200, subpixel=1,
                                     crtcs=(1 << crtcs) - 1, modes=[mode(*size) for size in modes], edid=b""))
        self.send(wire.TopologyEnd(generation=self.generation))

    def paint(self, message):
        """Takes one message as an honest agent does, answers included. Returns it."""
        if isinstance(message, wire.Commit):
            self.commits += 1
            screen = self.screens.setdefault(message.crtc, {})
            screen.update(commit=message, pixels=bytearray(), wanted=sum(4 * r.width * r.height for r in message.damage))
            if message.modes:
                size = (message.modes[0].hdisplay, message.modes[0].vdisplay)
                if screen.get("size") != size:
                    screen.update(size=size, picture=bytearray(4 * size[0] * size[1]))
            else:
                screen.update(size=None, picture=None)
        elif isinstance(message, wire.Pixels):
            self.screens[message.crtc]["pixels"] += message.tail
            self.pixel_bytes += len(message.tail)
        elif isinstance(message, wire.Sync):
            self.send(wire.SyncDone(id=message.id))
        if isinstance(message, (wire.Commit, wire.Pixels)):
            self.finish(message.crtc)
        return message

    def finish(self, crtc):
        screen = self.screens[crtc]
        if len(screen["pixels"]) < screen["wanted"]:
            return
        assert len(screen["pixels"]) == screen["wanted"], "more pixels than the rectangles have"
        at = 0
        for rect in screen["commit"].damage:
            for y in range(rect.y, rect.y + rect.height):
                start = 4 * (y * screen["size"][0] + rect.x)
                screen["picture"][start:start + 4 * rect.width] = screen["pixels"][at:at + 4 * rect.width]
                at += 4 * rect.width
        self.send(wire.CommitDone(id=screen["commit"].id, crtc=crtc, result=0, time_ns=time.monotonic_ns()))

    def picture(self, crtc=0):
        return bytes(self.screens[crtc]["picture"])

    def closed_by_peer(self):
        """Reads until the bridge closes; returns the Error it sent before, or None."""
        last = None
        while True:
            try:
                message = self.receive()
            except (EOFError, ConnectionError):
                return last
            if isinstance(message, wire.Error):
                last = message

    def close(self):
        self.stream.close()


class Agent:
    """Listens as guest-agent does."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(8)
        self.listener.settimeout(TIMEOUT_S)
        self.path = path

    def accept(self, **options):
        stream, _ = self.listener.accept()
        return Connection(stream, **options)

    def close(self):
        self.listener.close()
        os.unlink(self.path)


class Painter(threading.Thread):
    """An honest agent in the background: paints until its connection ends."""

    def __init__(self, connection):
        super().__init__(daemon=True)
        self.connection = connection
        self.fault = None
        self.start()

    def run(self):
        try:
            while True:
                self.connection.paint(self.connection.receive())
        except (EOFError, OSError):
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.fault = error

    def stop(self):
        try:
            self.connection.stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join(TIMEOUT_S)
        self.connection.close()
        if self.fault is not None:
            raise self.fault


class Case(unittest.TestCase):
    """A simulated kernel and a bridge for each test; both have to be as they were at the end."""

    bridge_options = ()

    def setUp(self):
        self.seed = int(os.environ.get("TEST_SEED", random.SystemRandom().randrange(1 << 31)))
        print(f"# {self.id()}: TEST_SEED={self.seed}", flush=True)
        self.random = random.Random(self.seed)
        self.folder = Path(tempfile.mkdtemp(prefix="hosted-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "redox").mkdir()
        self.environment = dict(os.environ, REDOX_HOSTED_DIR=str(self.folder / "redox"), LOG=os.environ.get("BRIDGE_LOG", "debug"))
        self.address = self.folder / "agent.sock"
        self.agent = None
        self.clients = []
        self.bridge = self.start_bridge()
        self.addCleanup(self.end)

    def start_bridge(self):
        with open(self.folder / "bridge.log", "ab") as log:
            return start_ready([os.environ["DISPLAY_BRIDGE"], "--agent", f"unix:{self.address}", "--ready-timeout", "0",
                                *self.bridge_options], TIMEOUT_S, env=self.environment, stderr=log)

    def end(self):
        for client in self.clients:
            client.kill()
        if self.agent is not None:
            self.agent.close()
        self.assertIsNone(self.bridge.poll(), "the bridge died:\n" + self.log())
        self.bridge.terminate()
        try:
            status = self.bridge.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.bridge.kill()
            self.bridge.wait()
            self.fail("the bridge does not end on SIGTERM")
        self.assertEqual(status, 0, self.log())
        for word in ("AddressSanitizer", "runtime error", "Assertion"):
            self.assertNotIn(word, self.log())

    def log(self):
        return (self.folder / "bridge.log").read_text(encoding="utf-8", errors="replace")

    def client(self):
        client = Client(self.environment)
        self.clients.append(client)
        return client

    def listen(self):
        self.agent = Agent(self.address)
        return self.agent

    def painter(self, **topology):
        """An honest agent that is there, with its topology; waits until the bridge has taken it."""
        if self.agent is None:
            self.listen()
        connection = self.agent.accept()
        connection.topology(**topology)
        connection.paint(connection.receive())
        return Painter(connection)

    def refused(self, error, function, *arguments):
        with self.assertRaises(RedoxError) as caught:
            function(*arguments)
        self.assertEqual(caught.exception.error, error)

    def status(self, key):
        """What the file `status` says behind KEY."""
        client = self.client()
        text = client.read_all("/scheme/display/status").decode()
        client.kill()
        for line in text.splitlines():
            if line.startswith(key + ": "):
                return line[len(key) + 2:]
        raise KeyError(key + " in\n" + text)

    def memory_kib(self):
        for line in Path(f"/proc/{self.bridge.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.bridge.pid}/fd"))

    def eventually(self, condition, what):
        """For states that no event announces: asks again until CONDITION holds."""
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited in vain for: {what}\n{self.log()}")
            time.sleep(0.02)


def u32(*values):
    return struct.pack(f"<{len(values)}I", *values)
