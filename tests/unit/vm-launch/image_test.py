"""The image builder: what is in an image, when it is built again, what it says when it cannot. Needs Debian's archive at the first run.

usage: image_test.py BUILDER CACHE SUPPORT_FOLDER
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BUILDER, CACHE = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
sys.path.insert(0, sys.argv[3])
sys.argv = sys.argv[:1]

import tap  # noqa: E402


def newc_entries(archive):
    """(mode, uid, gid, mtime, data) by name, of a cpio archive in the format that Linux reads."""
    entries = {}
    at = 0
    while True:
        fields = [int(archive[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        assert archive[at:at + 6] == b"070701"
        name = archive[at + 110:at + 110 + fields[11] - 1].decode()
        at = (at + 110 + fields[11] + 3) // 4 * 4
        data = archive[at:at + fields[6]]
        at = (at + fields[6] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return entries
        entries[name] = (fields[1], fields[2], fields[3], fields[5], data)


class Image(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="image-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.agent = self.folder / "agent"
        shutil.copy("/bin/ls", self.agent)
        self.output = self.folder / "output"

    def build(self, *options, status=0, cache=CACHE):
        result = subprocess.run([BUILDER, "--agent", self.agent, "--output", self.output, "--cache", cache, *options],
                                capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout if status == 0 else result.stderr

    def initrd(self):
        return (self.output / "initrd.cpio").read_bytes()

    def test_image_has_what_a_guest_needs(self):
        extra = self.folder / "extra"
        extra.write_text("more", encoding="utf-8")
        self.build("--add", f"{extra}:etc/extra")
        self.assertEqual((self.output / "vmlinux").read_bytes()[:4], b"\x7fELF")
        entries = newc_entries(self.initrd())
        for _, uid, gid, mtime, _ in entries.values():
            self.assertEqual((uid, gid, mtime), (0, 0, 0))
        self.assertEqual(entries["bin/guest-agent"][4], self.agent.read_bytes())
        self.assertEqual(entries["bin/sh"][4], b"busybox")
        self.assertEqual(entries["etc/extra"][4], b"more")
        self.assertEqual(entries["init"][0] & 0o777, 0o755)
        self.assertTrue([name for name in entries if name.endswith("/libc.so.6")], "the agent's libraries")
        modules = {name.rsplit("/", 1)[1] for name in entries if name.endswith(".ko")}
        self.assertLessEqual({"bochs.ko", "virtio-gpu.ko", "drm.ko", "vmw_vsock_virtio_transport.ko", "vsock.ko", "button.ko"}, modules)
        self.assertEqual(list(entries), sorted(entries), "sorted names")

    def test_same_inputs_same_bytes_and_no_work(self):
        self.build()
        first = self.initrd()
        self.assertIn("up to date", self.build())
        (self.output / "inputs").unlink()
        self.assertIn("packing", self.build())
        self.assertEqual(first, self.initrd())

    def test_each_input_counts(self):
        extra = self.folder / "extra"
        extra.write_text("1", encoding="utf-8")
        self.build()
        with self.agent.open("ab") as agent:
            agent.write(b"changed")
        self.assertIn("packing", self.build())
        self.assertIn("packing", self.build("--modules", "snd-aloop"))
        self.assertTrue([name for name in newc_entries(self.initrd()) if name.endswith("/snd-aloop.ko")])
        self.assertIn("packing", self.build("--add", f"{extra}:x"))
        extra.write_text("2", encoding="utf-8")
        self.assertIn("packing", self.build("--add", f"{extra}:x"))
        self.assertIn("up to date", self.build("--add", f"{extra}:x"))
        (self.output / "vmlinux").unlink()
        self.assertIn("packing", self.build("--add", f"{extra}:x"))

    def test_a_script_may_be_the_agent(self):
        self.agent.write_text("#!/bin/sh\n", encoding="utf-8")
        self.build()
        self.assertFalse([name for name in newc_entries(self.initrd()) if "libc" in name])

    def test_refusals_are_one_line(self):
        self.assertIn("has no module nonesuch", self.build("--modules", "nonesuch", status=1))
        self.assertFalse((self.output / "inputs").exists())
        self.assertEqual(self.build("--colour", status=1), "image: unknown option --colour; see --help\n")
        self.assertEqual(self.build("--modules", status=1), "image: --modules needs a value\n")
        self.assertIn("--add none:x: there is no file none", self.build("--add", "none:x", status=1))
        self.agent.chmod(0o644)
        self.assertEqual(self.build(status=1), f"image: {self.agent} is not a program; build guest-agent first (make)\n")

    def test_nothing_but_the_cache_is_left(self):
        self.build()
        self.assertEqual(sorted(path.name for path in self.output.iterdir()), ["initrd.cpio", "inputs", "vmlinux"])


if __name__ == "__main__":
    tap.main()
