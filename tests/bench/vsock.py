#!/usr/bin/env python3
"""Measures vm-launch's vsock device against TCP by QEMU's user network, in turns, in the same guest: a Debian kernel under TCG, one CPU.

Prints one JSON object a line: name, value, unit, peer, peer_value, ratio (value/peer_value), medians of all rounds.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY = "vsock_guest: ready"
BOOT_SECONDS = 120
MEASURE_SECONDS = 60

# Row's name, unit, what vsock_host plays, bytes of a message, messages of one measurement.
ROWS = [
    ("64 B round trip, host asks", "us", "echo", 64, 1500),
    ("64 B round trip, guest asks", "us", "ping", 64, 1000),
    ("64 B messages, host to guest", "MB/s", "sink", 64, 20000),
    ("64 B messages, guest to host", "MB/s", "source", 64, 10000),
    ("1 MiB messages, host to guest", "MB/s", "sink", 1 << 20, 48),
    ("1 MiB messages, guest to host", "MB/s", "source", 1 << 20, 24),
]


def free_port():
    """A TCP port of the loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def build_image(build):
    """The guest: the project's own image with the benchmark's program in the agent's place."""
    guest = build / "tests/bench/vsock_guest"
    if not guest.exists():
        raise SystemExit(f"vsock.py: {guest} is missing; it is built without sanitizers only: make")
    image = build / "bench-vsock-image"
    subprocess.run([ROOT / "vm-launch/image/build", "--agent", guest, "--output", image, "--modules", "virtio-net"],
                   check=True, stdout=sys.stderr)
    return image


def start_device(build, folder):
    """The vsock device, listening."""
    reader, writer = os.pipe()
    device = subprocess.Popen([build / "vm-launch/vsock/vsock-device", "--socket", f"{folder}/qemu", "--cid", "42",
                               "--host-socket", f"{folder}/host", "--ready-fd", str(writer)], pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        if ready.read(1) != b"\n":
            device.wait()
            raise SystemExit("vsock.py: vsock-device did not become ready")
    return device


def start_guest(image, folder, port):
    """QEMU with the device and the user network."""
    return subprocess.Popen(
        ["qemu-system-x86_64", "-machine", "q35,memory-backend=memory", "-accel", "tcg", "-smp", "1", "-m", "512M",
         "-object", "memory-backend-memfd,id=memory,size=512M,share=on", "-nodefaults", "-display", "none", "-no-reboot",
         "-kernel", image / "vmlinux", "-initrd", image / "initrd.cpio",
         "-append", 'console=ttyS0 quiet agent.args="--network"', "-serial", "stdio",
         "-chardev", f"socket,id=vsock,path={folder}/qemu", "-device", "vhost-user-vsock-pci,chardev=vsock",
         "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:5000",
         "-device", "virtio-net-pci,netdev=net"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")


def wait_ready(guest):
    """Reads the console until the guest's program listens; afterwards a thread keeps it empty."""
    watchdog = threading.Timer(BOOT_SECONDS, guest.kill)
    watchdog.start()
    console = []
    for line in guest.stdout:
        console.append(line)
        if READY in line:
            watchdog.cancel()
            threading.Thread(target=guest.stdout.read, daemon=True).start()
            return
    watchdog.cancel()
    raise SystemExit("vsock.py: the guest did not start:\n" + "".join(console[-20:]))


def measure(build, address, play, size, count):
    """One run of the host's program."""
    output = subprocess.run([build / "tests/bench/vsock_host", address, play, str(size), str(count)], check=True,
                            stdout=subprocess.PIPE, text=True, timeout=MEASURE_SECONDS).stdout
    return float(output)


def measure_rows(build, folder, port, rounds):
    """All rows, the two sides in turns."""
    sides = (f"unix:{folder}/host", f"tcp:{port}")
    for name, unit, play, size, count in ROWS:
        values = {side: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                values[side].append(measure(build, side, play, size, count))
        value, peer_value = (statistics.median(values[side]) for side in sides)
        yield {"name": f"vsock device: {name}", "value": round(value, 2), "unit": unit,
               "peer": "TCP by QEMU's user network, same guest", "peer_value": round(peer_value, 2),
               "ratio": round(value / peer_value, 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=ROOT / "build", type=Path, help="folder of the programs")
    parser.add_argument("--rounds", default=7, type=int, help="measurements of each row and side")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    image = build_image(build)
    with tempfile.TemporaryDirectory(prefix="vsock-bench-") as folder:
        port = free_port()
        processes = [start_device(build, folder)]
        try:
            guest = start_guest(image, folder, port)
            processes.append(guest)
            wait_ready(guest)
            for row in measure_rows(build, folder, port, arguments.rounds):
                print(json.dumps(row), flush=True)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
