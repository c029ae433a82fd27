#!/usr/bin/env python3
"""guest-agent on the KMS devices of a real kernel: boots a VM by QEMU (TCG) with bochs-display and virtio-gpu, lets vm_bridge.c draw
noise in it and compares the monitors, as QEMU has them, with what was drawn, pixel by pixel.  kms_vm.py AGENT VM_BRIDGE
"""

import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/support"))

from PIL import Image  # noqa: E402
from picture import describe_difference, differing_pixels  # noqa: E402
from qmp import Qmp  # noqa: E402

MASK = 0xFFFFFFFF
BOOT_S = 120
ANSWER_S = 60


def noise(seed, x, y):
    value = (x * 73856093 ^ y * 19349663 ^ seed * 83492791) & MASK
    value = (value ^ value >> 15) * 2246822519 & MASK
    return value ^ value >> 13


class Canvas:
    """What the client has drawn: the reference."""

    def __init__(self, width, height):
        self.image = Image.new("RGB", (width, height))

    def rect(self, seed, x, y, width, height):
        part = bytearray()
        for row in range(y, y + height):
            for column in range(x, x + width):
                value = noise(seed, column, row)
                part += bytes((value >> 16 & 255, value >> 8 & 255, value & 255))
        self.image.paste(Image.frombytes("RGB", (width, height), bytes(part)), (x, y))

    def with_cursor(self, seed, width, height, x, y):
        image = self.image.copy()
        for row in range(height):
            for column in range(width):
                value = noise(seed, column, row)
                place = (x + column, y + row)
                if value & 1 and 0 <= place[0] < image.width and 0 <= place[1] < image.height:
                    image.putpixel(place, (value >> 16 & 255, value >> 8 & 255, value & 255))
        return image


class Guest:
    """The VM; its shell is the second serial port."""

    def __init__(self, folder, agent, bridge):
        self.folder = folder
        image = folder / "image"
        subprocess.run([ROOT / "vm-launch/image/build", "--agent", agent, "--output", image,
                        "--add", f"{bridge}:bin/vm-bridge"], check=True, stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-m", "512", "-nodefaults", "-no-user-config",
             "-kernel", image / "vmlinux", "-initrd", image / "initrd.cpio",
             "-append", 'console=ttyS0 quiet guest.shell=ttyS1 agent.args="--listen unix:/run/kept.sock --device /dev/dri/card0"',
             "-device", "bochs-display,id=bochs", "-device", "virtio-gpu-pci,id=virtio,max_outputs=2",
             "-serial", f"file:{folder}/console", "-chardev", f"socket,id=shell,path={folder}/shell,server=on,wait=off",
             "-vnc", f"unix:{folder}/vnc,display=virtio,head=0", "-serial", "chardev:shell", "-qmp", f"unix:{folder}/qmp,server=on,wait=off"])
        for name in ("shell", "qmp"):
            self.wait_for(lambda name=name: (folder / name).exists(), 30, f"QEMU's socket {name}")
        shell = socket.socket(socket.AF_UNIX)
        shell.connect(str(folder / "shell"))
        shell.settimeout(BOOT_S)
        self.shell = shell.makefile("rw", encoding="utf-8", newline="\n")
        self.qmp = Qmp(folder / "qmp")
        self.expect("ready")
        shell.settimeout(ANSWER_S)

    def wait_for(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"waited for {what}")
            time.sleep(0.05)

    def close(self):
        self.process.kill()
        self.process.wait()

    def tell(self, line):
        self.shell.write(line + "\n")
        self.shell.flush()

    def read(self):
        line = self.shell.readline()
        if not line:
            raise RuntimeError("the guest's shell ended")
        return line.rstrip("\r\n")

    def ask(self, line):
        self.tell(line)
        return self.read()

    def expect(self, wanted):
        got = self.read()
        if got != wanted:
            raise RuntimeError(f"the guest says \"{got}\", not \"{wanted}\"")

    def monitor(self, device, head=0):
        path = self.folder / "dump.ppm"
        self.qmp.command("screendump", filename=str(path), device=device, head=head)
        with Image.open(path) as picture:
            return picture.convert("RGB")


    def resize_window(self, width, height):
        """What a user does who drags the corner of a viewer's window: the virtual monitor gets another preferred mode."""
        with socket.socket(socket.AF_UNIX) as vnc:
            vnc.settimeout(ANSWER_S)
            vnc.connect(str(self.folder / "vnc"))
            stream = vnc.makefile("rwb")

            def say(data, answer_bytes):
                stream.write(data)
                stream.flush()
                return stream.read(answer_bytes)

            stream.read(12)
            kinds = say(b"RFB 003.008\n", 1)[0]
            stream.read(kinds)
            say(b"\1", 4)  # no authentication
            start = say(b"\1", 24)  # shared
            stream.read(struct.unpack(">I", start[20:])[0])
            # SetEncodings: raw and ExtendedDesktopSize; SetDesktopSize with one screen.
            say(struct.pack(">BxHii", 2, 2, 0, -308) + struct.pack(">BxHHBx", 251, width, height, 1)
                + struct.pack(">IHHHHI", 0, 0, 0, width, height, 0), 1)


class Report:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, name, good, detail=""):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)
        if not good and detail:
            print("# " + detail.replace("\n", "\n# "), flush=True)

    def same(self, name, seen, wanted):
        differing = differing_pixels(seen, wanted)
        self.check(name, differing == 0, describe_difference(seen, wanted) if differing else "")


def random_rects(rng, width, height):
    rects = []
    for _ in range(rng.randint(1, 16)):
        x, y = rng.randrange(width), rng.randrange(height)
        rects.append((x, y, rng.randint(1, min(200, width - x)), rng.randint(1, min(200, height - y))))
    return rects


class Device:
    """The agent on one device of the guest, and vm-bridge connected to it."""

    def __init__(self, guest, report, card, arguments=""):
        self.guest = guest
        self.report = report
        self.rng = random.Random(report.seed)
        self.next_id = 1
        address = f"unix:/run/{card}{self.rng.randrange(1 << 30)}.sock"
        guest.tell(f"guest-agent --listen {address} --device /dev/dri/{card} {arguments} 2>>/run/{card}.log & echo $!")
        self.agent_pid = guest.read()
        guest.tell(f"vm-bridge {address} 2>/run/bridge.log")
        guest.expect("connected")
        self.topology = guest.ask("topology")
        self.driver = self.topology.split()[0]
        self.modes = [tuple(map(int, mode.split("x"))) for mode in self.topology.split(" | ")[1].split(" modes ")[1].split()]

    def end(self):
        self.guest.tell("end")
        self.guest.expect("ended")
        self.guest.tell(f"kill {self.agent_pid}; wait {self.agent_pid}; echo status $?")
        return self.guest.read()

    def commit(self, text, result=0):
        identity = self.next_id
        self.next_id += 1
        words = text.split(" ", 1)
        answer = self.guest.ask(f"{words[0]} {identity} {words[1]}")
        crtc = words[1].split()[0]
        self.report.check(f"{self.driver}: {text[:40]}: result {result}", answer == f"done {identity} crtc {crtc} result {result}", answer)

    def show(self, canvas, mode, rects, crtc=0, connector=0):
        seed = self.rng.randrange(1 << 32)
        for rect in rects:
            canvas.rect(seed, *rect)
        self.commit(f"show {crtc} {connector} {mode} {seed} " + " ".join(" ".join(map(str, rect)) for rect in rects))


def draw_modes(device, name, crtc=0, connector=0, head=0):
    """Two modes, whole pictures and partial damage. Leaves the second mode; returns its number and canvas."""
    canvas = None
    chosen = [number for number, size in enumerate(device.modes) if size in ((1024, 768), (640, 480))][:2]
    device.report.check(f"{device.driver}: two modes to try", len(chosen) == 2, device.topology)
    for mode in chosen:
        width, height = device.modes[mode]
        canvas = Canvas(width, height)
        device.show(canvas, mode, [(0, 0, width, height)], crtc, connector)
        device.report.same(f"{device.driver}: {width}x{height} is exact", device.guest.monitor(name, head), canvas.image)
        for _ in range(3):
            device.show(canvas, mode, random_rects(device.rng, width, height), crtc, connector)
        device.report.same(f"{device.driver}: damage in {width}x{height} is exact", device.guest.monitor(name, head), canvas.image)
    return chosen[-1], canvas


def draw_cursor(device, name, mode, canvas):
    """A composed cursor, moved, over damage, hidden."""
    seed = device.rng.randrange(1 << 32)
    device.guest.ask(f"image 0 40 50 {seed}")
    for x, y in ((100, 100), (120, 90), (-17, -23), (620, 450)):
        device.guest.ask(f"move 0 1 {x} {y}")
        device.report.check(f"{device.driver}: sync", device.guest.ask("sync") == "synced")
        device.report.same(f"{device.driver}: cursor at {x},{y}", device.guest.monitor(name), canvas.with_cursor(seed, 40, 50, x, y))
        device.show(canvas, mode, [(max(x, 0), max(y, 0), 10, 20)] + random_rects(device.rng, *canvas.image.size)[:15])
        device.report.same(f"{device.driver}: damage below it", device.guest.monitor(name), canvas.with_cursor(seed, 40, 50, x, y))
    device.guest.ask("move 0 0 0 0")
    device.guest.ask("sync")
    device.report.same(f"{device.driver}: cursor hidden", device.guest.monitor(name), canvas.image)


def refuse(device, name, canvas, mode):
    """A mode that the driver refuses is answered with its errno and changes nothing."""
    device.commit("timing 0 0 0", -22)
    device.report.same(f"{device.driver}: the picture is still there", device.guest.monitor(name), canvas.image)
    device.show(canvas, mode, [(3, 3, 30, 30)])
    device.report.same(f"{device.driver}: and takes damage", device.guest.monitor(name), canvas.image)


def plane_cursor(guest, report, card):
    """A cursor on the plane is not in a screendump: the driver must take it, and the picture stays as it is."""
    device = Device(guest, report, card)
    width, height = device.modes[0]
    canvas = Canvas(width, height)
    device.show(canvas, 0, [(0, 0, width, height)])
    guest.ask("image 0 64 64 7")
    guest.ask("move 0 1 50 50")
    guest.ask("move 0 1 60 50")
    report.check("virtio_gpu: sync", guest.ask("sync") == "synced")
    report.same("virtio_gpu: a cursor on the plane leaves the picture alone", guest.monitor("virtio"), canvas.image)
    report.check("virtio_gpu: ends well", device.end() == "status 0")
    report.check("virtio_gpu: the driver took the cursor", guest.ask(f"grep -c refuses /run/{card}.log") == "0")


def second_head(device):
    """Two CRTCs with different pictures."""
    parts = device.topology.split(" | ")
    device.report.check("virtio_gpu: two connectors", len(parts) == 3, device.topology)
    mode, first = draw_modes(device, "virtio")
    _, second = draw_modes(device, "virtio", crtc=1, connector=1, head=1)
    device.report.same("virtio_gpu: the first head is as it was", device.guest.monitor("virtio"), first.image)
    device.commit("off 1")
    device.show(first, mode, [(1, 2, 3, 4)])
    device.report.same("virtio_gpu: one head off, the other draws", device.guest.monitor("virtio"), first.image)
    device.report.check("pictures differ", differing_pixels(first.image, second.image) > 1000)


def hotplug(guest, report, card):
    """A monitor that changes: the kernel's event makes the agent send the topology again, and the new mode works."""
    device = Device(guest, report, card)
    width, height = device.modes[0]
    canvas = Canvas(width, height)
    device.show(canvas, 0, [(0, 0, width, height)])
    guest.tell("changed")
    # QEMU's PPM files are wrong for widths that are no multiple of 4.
    guest.resize_window(1236, 567)
    first = guest.read().split(" | ")[1].split(" modes ")[1].split()[0]
    report.check("virtio_gpu: the new preferred mode comes first", first == "1236x567", first)
    report.same("virtio_gpu: the picture stays until the bridge commits", guest.monitor("virtio"), canvas.image)
    canvas = Canvas(1236, 567)
    device.show(canvas, 0, [(0, 0, 1236, 567)])
    report.same("virtio_gpu: the new mode is exact", guest.monitor("virtio"), canvas.image)
    report.check("virtio_gpu: ends well", device.end() == "status 0")


def refusals_in_words(guest, report, card):
    """What a person sees when the device cannot be had."""
    taken = guest.ask(f"guest-agent --listen unix:/run/x --device /dev/dri/{card} 2>&1; echo")
    guest.read()
    report.check("a taken device is named with what to do", "held by a desktop or another display server" in taken, taken)
    missing = guest.ask("guest-agent --listen unix:/run/x --device /dev/dri/card9 2>&1; echo")
    guest.read()
    report.check("a missing device is named with what to do", "lspci" in missing, missing)


def run(guest, report):
    # card0 belongs to the agent that init keeps.
    for card in ("card0", "card1"):
        driver = guest.ask(f"basename $(readlink /sys/class/drm/{card}/device/driver); true")
        print(f"# {card}: {driver}", flush=True)
    refusals_in_words(guest, report, "card0")
    guest.tell("kill $keeper; killall guest-agent; sleep 1; echo freed")
    guest.expect("freed")
    drivers = {}
    for card in ("card0", "card1"):
        device = Device(guest, report, card, "--software-cursor")
        drivers[device.driver] = card
        name = "virtio" if device.driver == "virtio_gpu" else "bochs"
        if name == "virtio":
            second_head(device)
        mode, canvas = draw_modes(device, name)
        draw_cursor(device, name, mode, canvas)
        refuse(device, name, canvas, mode)
        report.check(f"{device.driver}: ends well", device.end() == "status 0")
        # Started again, it draws again.
        device = Device(guest, report, card)
        draw_modes(device, name)
        report.check(f"{device.driver}: ends well again", device.end() == "status 0")
    report.check("both drivers were there", len(drivers) == 2, str(drivers))
    plane_cursor(guest, report, drivers["virtio_gpu"])
    hotplug(guest, report, drivers["virtio_gpu"])


def main():
    report = Report()
    report.seed = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
    print(f"# TEST_SEED={report.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="agent-vm-") as folder:
        guest = None
        try:
            guest = Guest(Path(folder), sys.argv[1], sys.argv[2])
            run(guest, report)
        except Exception as error:  # pylint: disable=broad-except
            console = Path(folder, "console")
            report.check(f"no error: {error}", False, console.read_text(errors="replace")[-3000:] if console.exists() else "")
            if not isinstance(error, (RuntimeError, OSError)):
                raise
        finally:
            if guest:
                guest.close()
    print(f"1..{report.count}", flush=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
