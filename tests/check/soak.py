#!/usr/bin/env python3
"""Long runs: the agent in a real VM killed many times under a drawing client, and what must not grow meanwhile."""

import argparse
import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from machine import Client, Machine, configuration, make_image  # noqa: E402
from picture import describe_difference, differing_pixels, load  # noqa: E402

GROWTH_KIB = 4096  # of the bridge's memory between the first tenth and the end


def child_named(machine, name):
    """The pid of a child of vm-launch by the name of its program."""
    children = Path(f"/proc/{machine.process.pid}/task/{machine.process.pid}/children").read_text(encoding="ascii").split()
    for pid in children:
        if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == name[:15]:
            return int(pid)
    raise SystemExit(f"soak: {name} does not run under vm-launch")


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def memory_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="folder of the programs")
    parser.add_argument("--kills", type=int, default=200, help="of the agent (default 200)")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31)
    chance = random.Random(seed)
    print(f"soak: {arguments.kills} kills of the agent, seed {seed}", flush=True)
    make_image(arguments.build)
    failures = 0
    with Machine(arguments.build, configuration("virtio-gpu", agent_options="--software-cursor")) as machine, Client(arguments.build, machine.environment) as client:
        qmp = machine.qmp()
        bridge = child_named(machine, "display-bridge")
        fds = memory = None
        for kill in range(arguments.kills):
            ups = machine.log().count("is there")
            client.send("draw", chance.randint(5, 60), chance.randrange(1 << 31))
            machine.shell("kill -9 $(pidof guest-agent)")
            client.answer()
            machine.wait_log("is there", ups + 1)
            client.do("noise", chance.randrange(1 << 31))
            client.do("fsync")
            shown = qmp.screendump(machine.folder / "shown.png")
            client.do("save", machine.folder / "drawn.png")
            drawn = load(machine.folder / "drawn.png")
            if differing_pixels(shown, drawn):
                failures += 1
                print(f"soak: after kill {kill + 1}: {describe_difference(shown, drawn)}", flush=True)
                print("\n".join(machine.log().splitlines()[-12:]), flush=True)
            if kill == arguments.kills // 10:
                fds, memory = descriptors(bridge), memory_kib(bridge)
            if kill % 20 == 19:
                print(f"soak: {kill + 1} kills, bridge has {descriptors(bridge)} descriptors, {memory_kib(bridge)} KiB", flush=True)
        if descriptors(bridge) > fds:
            failures += 1
            print(f"soak: the bridge had {fds} descriptors, now {descriptors(bridge)}")
        if memory_kib(bridge) > memory + GROWTH_KIB:
            failures += 1
            print(f"soak: the bridge grew from {memory} to {memory_kib(bridge)} KiB")
        client.send("quit")
        qmp.close()
        if machine.stop() != 0:
            failures += 1
            print("soak: vm-launch did not end well")
    print(f"{arguments.kills + 3 - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
