"""vm-launch's vsock device with a Debian kernel in QEMU (TCG, one CPU) that runs tests/bench/vsock_guest.c; for its tests and benchmark."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from daemon import start_ready

ROOT = Path(__file__).resolve().parents[2]
READY = "vsock_guest: ready"
BOOT_SECONDS = 120


class VsockMachineError(Exception):
    pass


def build_image(build):
    """The guest: the project's own image with the benchmark's program in the agent's place. Returns its folder."""
    guest = build / "tests/bench/vsock_guest"
    if not guest.exists():
        raise VsockMachineError(f"{guest} is missing; it is built without sanitizers only: make")
    image = build / "vsock-image"
    subprocess.run([ROOT / "vm-launch/image/build", "--agent", guest, "--output", image, "--modules", "virtio-net"],
                   check=True, stdout=sys.stderr)
    return image


def free_port():
    """A TCP port of the loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class VsockMachine:
    """The device for as long as the object is entered; guests come and go by boot() and kill()."""

    def __init__(self, build):
        self.build = Path(build).resolve()
        self.port = free_port()  # of TCP to the guest's port 5000
        self.device = None
        self.guest = None

    def __enter__(self):
        self.image = build_image(self.build)
        self.directory = tempfile.TemporaryDirectory(prefix="vsock-machine-")
        self.folder = Path(self.directory.name)
        self.host_path = self.folder / "host"
        self.device = start_ready([self.build / "vm-launch/vsock/vsock-device", "--socket", self.folder / "qemu",
                                   "--cid", "42", "--host-socket", self.host_path])
        return self

    def __exit__(self, kind, value, trace):
        self.kill()
        self.device.terminate()
        self.device_status = self.device.wait()
        self.directory.cleanup()

    def boot(self):
        """Starts QEMU and waits until the guest's program listens."""
        self.guest = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "q35,memory-backend=memory", "-accel", "tcg", "-smp", "1", "-m", "512M",
             "-object", "memory-backend-memfd,id=memory,size=512M,share=on", "-nodefaults", "-display", "none",
             "-kernel", self.image / "vmlinux", "-initrd", self.image / "initrd.cpio",
             "-append", 'console=ttyS0 quiet agent.args="--network"', "-serial", "stdio",
             "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off",
             "-chardev", f"socket,id=vsock,path={self.folder}/qemu", "-device", "vhost-user-vsock-pci,chardev=vsock",
             "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-10.0.2.15:5000",
             "-device", "virtio-net-pci,netdev=net"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
        self.console = []
        self.news = threading.Condition()
        threading.Thread(target=self._read_console, args=(self.guest.stdout,), daemon=True).start()
        self.wait_console(READY)

    def _read_console(self, lines):
        for line in lines:
            with self.news:
                self.console.append(line)
                self.news.notify_all()
        with self.news:
            self.console.append(None)
            self.news.notify_all()

    def wait_console(self, text, times=1):
        """Waits until TEXT has been printed so many times since boot()."""
        def seen():
            return self.console[-1:] == [None] or sum(text in line for line in self.console) >= times

        with self.news:
            if not self.news.wait_for(seen, BOOT_SECONDS) or self.console[-1:] == [None]:
                raise VsockMachineError(f"the guest did not say {text!r}:\n" + "".join(line or "" for line in self.console[-20:]))

    def kill(self):
        """Ends QEMU as a crash would."""
        if self.guest:
            self.guest.kill()
            self.guest.wait()
            self.guest = None

    def device_descriptors(self):
        """How many descriptors the device has open."""
        return len(os.listdir(f"/proc/{self.device.pid}/fd"))
