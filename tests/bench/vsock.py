#!/usr/bin/env python3
"""Measures vm-launch's vsock device against TCP by QEMU's user network, in turns, in the same guest: a Debian kernel under TCG, one CPU.

Prints one JSON object a line: name, value, unit, peer, peer_value, ratio (value/peer_value), medians of all rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from vsock_machine import VsockMachine  # noqa: E402

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


def measure(machine, address, play, size, count):
    """One run of the host's program."""
    output = subprocess.run([machine.build / "tests/bench/vsock_host", address, play, str(size), str(count)], check=True,
                            stdout=subprocess.PIPE, text=True, timeout=MEASURE_SECONDS).stdout
    return float(output)


def measure_rows(machine, rounds):
    """All rows, the two sides in turns."""
    sides = (f"unix:{machine.host_path}", f"tcp:{machine.port}")
    for name, unit, play, size, count in ROWS:
        values = {side: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                values[side].append(measure(machine, side, play, size, count))
        value, peer_value = (statistics.median(values[side]) for side in sides)
        yield {"name": f"vsock device: {name}", "value": round(value, 2), "unit": unit,
               "peer": "TCP by QEMU's user network, same guest", "peer_value": round(peer_value, 2),
               "ratio": round(value / peer_value, 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=ROOT / "build", type=Path, help="folder of the programs")
    parser.add_argument("--rounds", default=7, type=int, help="measurements of each row and side")
    arguments = parser.parse_args()
    with VsockMachine(arguments.build) as machine:
        machine.boot()
        for row in measure_rows(machine, arguments.rounds):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
