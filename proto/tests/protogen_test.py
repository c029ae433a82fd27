#!/usr/bin/env python3
"""protogen.py: its outputs are the goldens byte for byte, every fault is one line with file and line number.

Usage: protogen_test.py BUILD/proto
"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parents[1]
sys.path[:0] = [sys.argv.pop(1), str(TESTS), str(ROOT / "tests/support")]

import bridge_wire  # noqa: E402
import tap  # noqa: E402
import update_goldens  # noqa: E402
import vectors  # noqa: E402


def golden_test(example, ending):
    def test(self):
        with tempfile.TemporaryDirectory() as folder:
            update_goldens.generate(example, Path(folder))
            made = (Path(folder) / f"{example}.{ending}").read_text(encoding="utf-8")
        self.maxDiff = None
        self.assertEqual(made, (TESTS / f"goldens/{example}.{ending}").read_text(encoding="utf-8"))
    return test


def bad_test(path):
    def test(self):
        line, text = re.search(r"^<!-- (\d+): error: (.*) -->$", path.read_text(encoding="utf-8"), re.MULTILINE).groups()
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "out.h"
            result = subprocess.run([sys.executable, update_goldens.PROTOGEN, path.name, "--header", output],
                                    cwd=path.parent, capture_output=True, text=True, check=False)
            self.assertFalse(output.exists(), "a bad declaration left an output")
        self.assertEqual(result.stderr, f"{path.name}:{line}: error: {text}\n")
        self.assertEqual(result.returncode, 1)
    return test


class Goldens(unittest.TestCase):
    def test_vectors(self):
        golden = (TESTS / "goldens/bridge.vectors").read_text(encoding="utf-8")
        self.assertEqual(update_goldens.vectors_text(vectors.MESSAGES), golden)

    def test_vectors_decode(self):
        lines = (TESTS / "goldens/bridge.vectors").read_text(encoding="utf-8").splitlines()
        for line, message in zip(lines, vectors.MESSAGES, strict=True):
            name, _, payload = line.partition(" ")
            self.assertEqual(name, message.NAME)
            self.assertEqual(bridge_wire.decode(message.OPCODE, bytes.fromhex(payload)), message)

    def test_every_message_has_a_vector(self):
        self.assertEqual({type(message) for message in vectors.MESSAGES}, set(bridge_wire.MESSAGES.values()))

    def test_missing_file(self):
        result = subprocess.run([sys.executable, update_goldens.PROTOGEN, "/no/such.xml"], capture_output=True, text=True,
                                check=False)
        self.assertEqual((result.returncode, result.stderr), (1, "protogen: /no/such.xml: No such file or directory\n"))

    def test_frame_limit_is_that_of_the_link(self):
        limits = (ROOT / "common/limits.h").read_text(encoding="utf-8")
        factors = re.search(r"#define LIMIT_FRAME\s+\((\d+)u \* (\d+)u\)", limits).groups()
        self.assertEqual(bridge_wire.FRAME_MAX, int(factors[0]) * int(factors[1]))


class Bad(unittest.TestCase):
    """Filled below: one test for each file of bad/."""


for one_example in update_goldens.EXAMPLES:
    for one_ending in update_goldens.OUTPUTS.values():
        setattr(Goldens, f"test_{one_example}_{one_ending.split('.')[0]}", golden_test(one_example, one_ending))
for one_path in sorted((TESTS / "bad").glob("*.xml")):
    setattr(Bad, f"test_{one_path.stem}", bad_test(one_path))

if __name__ == "__main__":
    tap.main()
