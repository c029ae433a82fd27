#!/usr/bin/env python3
"""The program guest-agent as a user and vm-launch meet it: options, refusals in words, readiness, signals; a bridge in Python, which has its own
codec of the wire.  program_test.py AGENT PROTO_DIR
"""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
AGENT = Path(sys.argv[1]).resolve()
sys.path[:0] = [str(ROOT / "tests/support"), sys.argv[2]]

import bridge_wire as wire  # noqa: E402
import tap  # noqa: E402
from daemon import start_ready  # noqa: E402
from PIL import Image  # noqa: E402

SEED = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
TIMEOUT_S = 20
SCREEN = "[screen]\ncrtcs = 1\n[connector HDMI-A-1]\nmode = 64x48\nmode = 32x32\n"


class Bridge:
    """A display bridge over a unix socket."""

    def __init__(self, path, role=wire.Role.DISPLAY, version=1):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(str(path))
        self.send(wire.Hello(version=version, role=role, epoch=1, features=0, frame_max=65536, name="program_test"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, message):
        self.socket.sendall(wire.frame(message))

    def receive(self):
        return wire.read_frame(self.socket)[0]

    def wait(self, kind):
        """The next message of KIND; others before it are dropped."""
        while True:
            message = self.receive()
            if isinstance(message, kind):
                return message

    def greet(self):
        """The modes of the topology's first connector."""
        begin = self.wait(wire.TopologyBegin)
        connector = self.wait(wire.Connector)
        self.wait(wire.TopologyEnd)
        return begin.generation, connector.modes

    def commit(self, identity, mode, damage=(), pixels=b"", chunk=1000):
        self.send(wire.Commit(id=identity, crtc=0, connectors=[0], modes=[mode], damage=[wire.Rect(*rect) for rect in damage]))
        for at in range(0, len(pixels), chunk):
            self.send(wire.Pixels(crtc=0, tail=pixels[at:at + chunk]))
        return self.wait(wire.CommitDone)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="agent-program-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "agent.sock"
        self.config = self.folder / "screen.ini"
        self.config.write_text(SCREEN, encoding="utf-8")

    def run_agent(self, *arguments):
        return subprocess.run([AGENT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S,
                              stdin=subprocess.DEVNULL, check=False)

    def start(self, *arguments):
        """A running agent, after it has said that it is ready."""
        # Freed memory must count as free under the address sanitizer, too.
        environment = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1")
        with open(self.folder / "log", "ab") as log:
            process = start_ready([AGENT, "--listen", f"unix:{self.path}", "--headless", self.config, *arguments], TIMEOUT_S,
                                  stderr=log, env=environment)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_log(self, words):
        end = time.monotonic() + TIMEOUT_S
        while words not in self.log():
            self.assertLess(time.monotonic(), end, f"no \"{words}\" in the log")
            time.sleep(0.02)

    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8")


class Words(Case):
    """What is said to a person."""

    def refused(self, status, words, *arguments):
        result = self.run_agent(*arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(words, result.stderr)

    def test_help_is_one_screen(self):
        result = self.run_agent("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertLessEqual(result.stdout.count("\n"), 24)
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 80)
        for option in ("--listen", "--device", "--headless", "--png", "--software-cursor", "--ready-fd"):
            self.assertIn(option, result.stdout)

    def test_version(self):
        result = self.run_agent("--version")
        self.assertRegex(result.stdout, r"^guest-agent \d+\.\d+\.\d+\n$")
        self.assertEqual(result.returncode, 0)

    def test_wrong_options(self):
        self.refused(2, "--colour", "--colour")
        self.refused(2, "\"extra\" is not an option", "extra")
        self.refused(2, "--png needs --headless", "--png", ".")
        self.refused(2, "exclude each other", "--headless", "x", "--device", "y")
        for number in ("x", "-1", "70000", "3x", ""):
            self.refused(2, "--ready-fd needs the number", "--ready-fd", number)

    def test_wrong_addresses(self):
        for address in ("nonsense", "vsock:any", "unix:", "tcp:somewhere"):
            self.refused(1, f"--listen {address}: ", "--headless", self.config, "--listen", address)
        self.refused(1, "the directory of the socket does not exist", "--headless", self.config, "--listen",
                     f"unix:{self.folder}/missing/sock")

    def test_wrong_devices(self):
        self.refused(1, "is the driver of the graphics device loaded", "--device", str(self.folder / "card0"))
        self.refused(1, "does not do mode setting", "--device", "/dev/null")

    def test_wrong_headless_files(self):
        self.refused(1, "missing.ini: No such file", "--headless", str(self.folder / "missing.ini"))
        self.refused(1, "--png needs an existing directory", "--headless", self.config, "--png", str(self.folder / "missing"))
        self.config.write_text("[screen]\ncrtcs = none\n", encoding="utf-8")
        self.refused(1, "screen.ini:2: crtcs is a number", "--headless", self.config)

    def test_address_in_use(self):
        self.start()
        self.refused(1, "another agent serves it already", "--headless", self.config, "--listen", f"unix:{self.path}")


class Running(Case):
    """A life of the program."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)

    def check_picture(self, size, pixels):
        with Image.open(self.folder / "crtc-0.png") as picture:
            self.assertEqual(picture.size, size)
            seen = picture.convert("RGB").tobytes("raw", "BGRX")
        self.assertEqual([seen[i:i + 3] for i in range(0, len(seen), 4)], [pixels[i:i + 3] for i in range(0, len(pixels), 4)])

    def test_pictures_by_another_codec(self):
        self.start("--png", self.folder)
        with Bridge(self.path) as bridge:
            _, modes = bridge.greet()
            for identity, mode in enumerate(modes):
                pixels = self.random.randbytes(mode.hdisplay * mode.vdisplay * 4)
                done = bridge.commit(identity, mode, [(0, 0, mode.hdisplay, mode.vdisplay)], pixels, self.random.randint(1, 5000))
                self.assertEqual((done.id, done.result), (identity, 0))
                self.check_picture((mode.hdisplay, mode.vdisplay), pixels)
        # Whoever reads the log can tell that it was this client's picture.
        self.wait_log("session ends after 2 commits with")
        self.assertIn('serving "program_test"', self.log())
        self.assertIn("crtc 0 shows 32x32 on connectors 0x1", self.log())

    def test_sigterm_ends_it_well(self):
        process = self.start()
        with Bridge(self.path) as bridge:
            bridge.greet()
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(TIMEOUT_S), 0)
            with self.assertRaises(EOFError):
                while True:
                    bridge.receive()

    def test_killed_and_started_again(self):
        for _ in range(3):
            process = self.start("--png", self.folder)
            with Bridge(self.path) as bridge:
                mode = bridge.greet()[1][0]
                pixels = self.random.randbytes(64 * 48 * 4)
                self.assertEqual(bridge.commit(1, mode, [(0, 0, 64, 48)], pixels).result, 0)
                self.check_picture((64, 48), pixels)
            process.kill()
            process.wait()

    def test_sighup_reads_the_connectors_again(self):
        process = self.start()
        with Bridge(self.path) as bridge:
            self.assertEqual(bridge.greet()[0], 1)
            self.config.write_text(SCREEN + "mode = 16x16\n", encoding="utf-8")
            process.send_signal(signal.SIGHUP)
            generation, modes = bridge.greet()
            self.assertEqual((generation, len(modes)), (2, 3))

    def test_a_later_version_is_spoken_to(self):
        self.start()
        with Bridge(self.path, version=7) as bridge:
            self.assertEqual(bridge.greet()[0], 1)

    def test_other_roles_hear_why(self):
        self.start()
        with Bridge(self.path, role=wire.Role.GPU) as bridge:
            self.assertEqual(bridge.wait(wire.Error).fault, wire.Fault.ROLE)

    def test_a_replaced_bridge_hears_why(self):
        self.start()
        with Bridge(self.path) as older:
            older.greet()
            with Bridge(self.path) as newer:
                newer.greet()
                self.assertEqual(older.wait(wire.Error).fault, wire.Fault.REPLACED)
                newer.send(wire.Sync(id=3))
                self.assertEqual(newer.wait(wire.SyncDone).id, 3)

    def test_faults_cost_one_line_each_and_few_a_second(self):
        self.start()
        for _ in range(50):
            with Bridge(self.path) as bridge:
                bridge.send(wire.Pixels(crtc=0, tail=b"1234"))
                self.assertEqual(bridge.wait(wire.Error).fault, wire.Fault.MALFORMED)
        self.assertIn("pixels without a commit", self.log())
        self.assertLess(self.log().count("\n"), 25)

    def test_memory_stays(self):
        """A thousand mode sets, each with a picture of its own, leave nothing behind."""
        process = self.start()

        def resident_kib():
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            return int(status.split("VmRSS:")[1].split()[0])

        with Bridge(self.path) as bridge:
            mode = bridge.greet()[1][0]
            for identity in range(1000):
                if identity == 100:
                    before = resident_kib()
                mode.hdisplay = self.random.randint(200, 300)
                mode.vdisplay = self.random.randint(200, 300)
                pixels = bytes(mode.hdisplay * 200 * 4)
                self.assertEqual(bridge.commit(identity, mode, [(0, 0, mode.hdisplay, 200)], pixels, 200000).result, 0)
            grown = resident_kib() - before
        print(f"# grown by {grown} KiB", flush=True)
        self.assertLess(grown, 8192)


if __name__ == "__main__":
    print(f"# TEST_SEED={SEED}", flush=True)
    tap.main()
