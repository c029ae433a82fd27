#!/usr/bin/env python3
"""Shows one picture that travels from a Redox-style client to the monitor of a real Linux VM, and compares what arrived with what was drawn."""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from machine import Client, Machine, configuration, make_image  # noqa: E402
from picture import describe_difference, differing_pixels, load  # noqa: E402


class Steps:
    """Prints each step with its time."""

    def __init__(self):
        self.begin = time.monotonic()
        self.last = self.begin

    def done(self, text):
        now = time.monotonic()
        print(f"  {now - self.last:6.1f} s  {text}", flush=True)
        self.last = now


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="folder of the programs")
    arguments = parser.parse_args()
    build = Path(arguments.build).resolve()
    steps = Steps()
    print("demo: a picture from a Redox-style client to the monitor of a Linux VM", flush=True)

    make_image(build)
    steps.done("guest image ready: a Debian kernel, busybox and guest-agent")

    with Machine(build, configuration("bochs")) as machine:
        steps.done("VM booted, guest-agent owns its DRM device, display-bridge serves display: (vm-launch)")
        drawn = machine.folder / "drawn.png"
        with Client(build, machine.environment) as client:
            size = client.do("size")
            client.do("desktop")
            client.do("cursor", 700, 430)
            client.do("fsync")
            steps.done(f"client drew its desktop, {size}, and a cursor; fsync says that it is on the screen")
            client.do("save", drawn)
            qmp = machine.qmp()
            shown = qmp.screendump(machine.folder / "shown.png")
            qmp.close()
            shown.save(build / "demo.png")
            steps.done("QEMU took a picture of the VM's monitor")
            client.send("quit")
        expected = load(drawn)
        wrong = differing_pixels(expected, shown)
        status = machine.stop()
        steps.done("VM shut down, nothing left running")
    shutil.rmtree(machine.folder, ignore_errors=True)

    pixels = shown.width * shown.height
    print(f"demo: compared the client's own buffer (cursor drawn in) with the VM's monitor: {pixels - wrong:,} of {pixels:,} pixels equal")
    print(f"demo: {time.monotonic() - steps.begin:.0f} s in all; look at {(build / 'demo.png').relative_to(Path.cwd())}")
    if wrong:
        print(f"demo: FAILED: {describe_difference(expected, shown)}")
    return 1 if wrong or status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
