#!/usr/bin/env python3
"""Measures the rows of docs/performance.md, each with its peer in the same run, and writes them to build/bench.json."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from daemon import start_ready  # noqa: E402


def row(name, value, unit, peer, peer_value, aim=None, higher_is_better=False):
    """One line of the table; RATIO below 1 is in our favour when lower is better, above 1 when higher is."""
    ratio = value / peer_value if peer_value else None
    met = None
    if aim is not None and ratio is not None:
        met = ratio >= aim if higher_is_better else ratio <= aim
    return {"name": name, "value": round(value, 3), "unit": unit, "peer": peer, "peer_value": round(peer_value, 3),
            "ratio": round(ratio, 3), "aim": aim, "met": met}


# Cores of client and server.
PLACEMENTS = {"one core": ("0", "0"), "a core each": ("0", "1")}


def ioctl_table(figures, state):
    return [
        row(f"GETCONNECTOR round trip, {state}", figures["round_trip_us"], "us", "AF_UNIX ping-pong of the same bytes",
            figures["peer_round_trip_us"], aim=1.6),
        row(f"bridge's own CPU time per GETCONNECTOR, {state}", figures["server_cpu_us"], "us", "the ping-pong's server",
            figures["peer_server_cpu_us"]),
    ]


def ioctl_rows(build, with_agent):
    """The bridge over the simulated kernel side, with a headless agent or with none."""
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as folder:
        registry = Path(folder, "redox")
        registry.mkdir(mode=0o700)
        environment = dict(os.environ, REDOX_HOSTED_DIR=str(registry))
        quiet = {"env": environment, "stderr": subprocess.DEVNULL}
        address = f"unix:{folder}/agent"
        processes = []
        try:
            if with_agent:
                processes.append(start_ready([build / "guest-agent/guest-agent", "--listen", address,
                                              "--headless", ROOT / "guest-agent/headless.ini"], **quiet))
            bridge = start_ready([build / "schemes/display-bridge/display-bridge", "--agent", address,
                                  "--ready-timeout", "5" if with_agent else "0"], **quiet)
            processes.append(bridge)
            rows = []
            for placement, cpus in PLACEMENTS.items():
                output = subprocess.run([build / "tests/bench/ioctl_round_trip", "/scheme/display/v2/1", str(bridge.pid), *cpus],
                                        env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
                rows += ioctl_table(json.loads(output), f"agent {'up' if with_agent else 'away'}, {placement}")
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()
    return rows


def vsock_rows(build):
    """vsock device against QEMU's user network in one guest."""
    output = subprocess.run([sys.executable, ROOT / "tests/bench/vsock.py", "--build", build], stdout=subprocess.PIPE,
                            text=True, check=True).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def print_table(rows):
    print("| what | value | peer | peer's value | ratio | aim |")
    print("|---|---|---|---|---|---|")
    for r in rows:
        aim = "" if r.get("aim") is None else f"{r['aim']} ({'met' if r['met'] else 'missed'})"
        print(f"| {r['name']} | {r['value']} {r['unit']} | {r['peer']} | {r['peer_value']} {r['unit']} | {r['ratio']} | {aim} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="folder of the programs")
    arguments = parser.parse_args()
    build = Path(arguments.build).resolve()
    rows = ioctl_rows(build, True) + ioctl_rows(build, False) + vsock_rows(build)
    print_table(rows)
    result = {"date": time.strftime("%Y-%m-%d"), "machine": f"{os.cpu_count()} cores, {platform.machine()}", "rows": rows}
    (build / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {arguments.build}/bench.json")


if __name__ == "__main__":
    main()
