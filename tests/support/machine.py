"""A driver VM under vm-launch, and Redox-style clients beside it, for the demo and the VM tests.

Everything is started as a user would start it: vm-launch with a configuration file, clients with REDOX_HOSTED_DIR set.
"""

import os
import selectors
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from daemon import NotReady, start_ready
from qmp import Qmp

ROOT = Path(__file__).resolve().parents[2]


CONFIGURATION = """
[vm gpu]
memory = 512M
{agent_options}
qmp = {{folder}}/gpu.qmp
commands = {{folder}}/gpu.commands

[device screen]
emulated = {device}
mode = {mode}

[bridge display]

[image]
agent = {{build}}/guest-agent/guest-agent
cache = {{root}}/cache
output = {{root}}/cache/image
"""


def configuration(device, mode="1280x800", agent_options=None):
    """The usual VM: one emulated monitor, and sockets that tests need."""
    options = f"agent_options = {agent_options}" if agent_options else ""
    return CONFIGURATION.format(device=device, mode=mode, agent_options=options)


class MachineError(Exception):
    pass


def make_image(build):
    """Builds the guest's image; quick when it is there. Its progress goes to stdout."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.ini")
        path.write_text(configuration("bochs").format(folder=folder, build=Path(build).resolve(), root=ROOT), encoding="utf-8")
        subprocess.run([Path(build) / "vm-launch/vm-launch", "image", path], check=True)


def read_line(stream, timeout_s, what):
    """One line from a pipe, or MachineError after TIMEOUT_S."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        if not selector.select(timeout_s):
            raise MachineError(f"{what}: nothing within {timeout_s} s")
    line = stream.readline()
    if not line:
        raise MachineError(f"{what}: ended")
    return line.rstrip("\n")


class Machine:
    """vm-launch and all that it starts. Use it as a context manager."""

    def __init__(self, build, text, inputd="new", ready_timeout_s=180):
        self.build = Path(build).resolve()
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-vm-"))
        self.runtime = self.folder / "run"
        self.redox = self.folder / "redox"
        self.redox.mkdir(mode=0o700)
        self.environment = dict(os.environ, REDOX_HOSTED_DIR=str(self.redox))
        self.configuration = self.folder / "vm.ini"
        self.configuration.write_text(text.format(folder=self.folder, build=self.build, root=ROOT), encoding="utf-8")
        self.log_path = self.folder / "vm-launch.log"
        self.ready_timeout_s = ready_timeout_s
        self.inputd_generation = inputd
        self.inputd = None
        self.process = None
        self.commands = None

    def start(self, argv, timeout_s):
        """Starts a program with --ready-fd and waits for its newline."""
        with open(self.log_path, "ab") as log:
            try:
                return start_ready(argv, timeout_s, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except NotReady as error:
                self.stop()
                raise MachineError(f"{error}; the log:\n{self.log()}") from error

    def __enter__(self):
        """inputd first, as Redox's init does it, then vm-launch."""
        self.inputd = self.start([self.build / "schemes/hosted/inputd/hosted-inputd", "--generation", self.inputd_generation], 10)
        self.process = self.start([self.build / "vm-launch/vm-launch", "run", "--runtime-dir", self.runtime, self.configuration],
                                  self.ready_timeout_s)
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, timeout_s=60):
        """SIGTERM to all; returns the exit status of vm-launch."""
        if self.commands is not None:
            self.commands.close()
            self.commands = None
        status = self.end(self.process, timeout_s)
        self.end(self.inputd, 10)
        return status

    @staticmethod
    def end(process, timeout_s):
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def wait_log(self, text, count=1, timeout_s=60):
        """Waits until TEXT stands COUNT times in the log of vm-launch and its children."""
        end = time.monotonic() + timeout_s
        while self.log().count(text) < count:
            if time.monotonic() > end:
                raise MachineError(f"'{text}' did not appear {count} times in the log:\n{self.log()}")
            time.sleep(0.05)

    def qmp(self):
        return Qmp(self.folder / "gpu.qmp")

    def status(self, key):
        """What the bridge's file `status` says behind KEY."""
        client = subprocess.Popen([self.build / "tests/hosted/drm_client"], env=self.environment, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=1)
        with client:
            def ask(line):
                client.stdin.write(line + "\n")
                words = read_line(client.stdout, 10, "status").split()
                if words[0] != "ok":
                    raise MachineError(f"status: {line}: {words}")
                return words[1:]

            descriptor = ask(f"open /scheme/display/status {0x10000}")[0]
            text = b""
            while words := ask(f"read {descriptor} 4000"):
                text += bytes.fromhex(words[0])
            client.stdin.close()
        for line in text.decode().splitlines():
            if line.startswith(key + ": "):
                return line[len(key) + 2:]
        raise MachineError(f"status has no '{key}':\n{text.decode()}")

    def shell(self, line):
        """Has root's shell in the guest run LINE; does not wait for its end."""
        if self.commands is None:
            self.commands = socket.socket(socket.AF_UNIX)
            self.commands.connect(str(self.folder / "gpu.commands"))
        self.commands.sendall(line.encode() + b"\n")


class Client:
    """The Orbital-style client, driven line by line."""

    def __init__(self, build, environment, *options):
        self.process = subprocess.Popen([Path(build) / "tests/clients/orbital", *options], env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def send(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def answer(self, timeout_s=60):
        line = read_line(self.process.stdout, timeout_s, "client")
        if not line.startswith("ok"):
            raise MachineError(f"client: {line}")
        return line[2:].strip()

    def do(self, *words, timeout_s=60):
        """One command; returns what stands behind 'ok'."""
        self.send(*words)
        return self.answer(timeout_s)
