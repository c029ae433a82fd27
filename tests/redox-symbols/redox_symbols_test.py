#!/usr/bin/env python3
"""What runs on Redox may call only what relibc has: every undefined symbol of those objects against the list in relibc.txt.

    redox_symbols_test.py BUILD CC      the objects of the libraries, of display-bridge and of vsock-device in the build folder BUILD
"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import tap  # noqa: E402

BUILD, CC = Path(sys.argv[1]), sys.argv[2:]

# Folders of the build whose objects run on Redox. x_linux.c has a twin x_redox.c with the same functions, which is not built here.
FOLDERS = ["proto", "common", "schemes/scheme", "schemes/drm", "schemes/display-bridge", "vm-launch/vsock"]
LINUX_TWIN = re.compile(r"_linux\.c\.o$")

# How glibc's headers rename functions: fortified, C99 and C23 variants, 64-bit file offsets, ctype tables.
RENAMED = [(r"^__(.*)_chk$", r"\1"), (r"^__isoc(?:99|23)_(.*)$", r"\1"), (r"^(.*)64$", r"\1"), (r"^__ctype_(?:b|tolower|toupper)_loc$", "isalpha"),
           (r"^__xpg_(.*)$", r"\1")]
# From the compiler and its runtime, and the raw system call of namespace_redox.c.
RUNTIME = re.compile(r"^(_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__(asan|ubsan|sanitizer|lsan)_.*|_U.*|redox_raw_unlinkat)$")


def symbols(arguments, paths):
    output = subprocess.run(["nm", *arguments, *paths], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line.split()[-1] for line in output.splitlines() if line and not line.endswith(":")}


def known():
    lines = (HERE / "relibc.txt").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def missing_from_relibc(objects):
    """Names that the objects need and neither they nor relibc have."""
    have = known() | twins() | symbols(["--defined-only", "--extern-only"], objects)
    lacking = set()
    for name in symbols(["--undefined-only"], objects):
        plain = name
        for pattern, replacement in RENAMED:
            if plain not in have:
                plain = re.sub(pattern, replacement, plain)
        if plain not in have and not RUNTIME.match(name):
            lacking.add(name)
    return lacking


def built_objects():
    return [path for folder in FOLDERS for path in (BUILD / folder).rglob("*.o")]


def redox_objects():
    return [path for path in built_objects() if not LINUX_TWIN.search(path.name)]


def twins():
    """What the Linux twins define, and so the Redox ones."""
    objects = [path for path in built_objects() if LINUX_TWIN.search(path.name)]
    return symbols(["--defined-only", "--extern-only"], objects) if objects else set()


class RedoxSymbols(unittest.TestCase):
    def test_objects_use_only_what_relibc_has(self):
        objects = redox_objects()
        for folder in FOLDERS:
            self.assertTrue([path for path in objects if path.is_relative_to(BUILD / folder)], f"no objects in {folder}")
        self.assertEqual(missing_from_relibc(objects), set())

    def test_a_poisoned_call_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "poison.c")
            source.write_text("int eventfd(unsigned, int);\nint poison(void);\nint poison(void) { return eventfd(0, 0); }\n",
                              encoding="utf-8")
            subprocess.run([*CC, "-c", source, "-o", source.with_suffix(".o")], check=True)
            self.assertEqual(missing_from_relibc([*redox_objects(), source.with_suffix(".o")]), {"eventfd"})


if __name__ == "__main__":
    tap.main()
