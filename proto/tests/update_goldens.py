#!/usr/bin/env python3
"""Writes the goldens anew: every output of the example declarations, and the bytes of every message of bridge.xml.

Run by `ninja -C build update-goldens`; what changed then shows in review.
"""

import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parent
PROTOGEN = TESTS.parent / "protogen.py"
EXAMPLES = ("small", "wide")
# Option of protogen.py, and what its golden's name ends in: not .c or .h, because nobody formats or compiles these.
OUTPUTS = {"header": "header.golden", "source": "source.golden", "check-header": "check-header.golden",
           "check": "check.golden", "python": "python.golden", "markdown": "markdown.golden",
           "dictionary": "dictionary.golden"}


def generate(example, folder):
    """All outputs of an example into a folder."""
    command = [sys.executable, PROTOGEN, TESTS / f"{example}.xml"]
    for option, ending in OUTPUTS.items():
        command += [f"--{option}", folder / f"{example}.{ending}"]
    subprocess.run(command, check=True)


def vectors_text(messages):
    """Name and payload in hexadecimal, one message a line."""
    return "".join(f"{message.NAME} {message.encode().hex()}\n" for message in messages)


def main():
    sys.path[:0] = [sys.argv[1], str(TESTS)]
    import vectors  # needs bridge_wire of the build folder
    for example in EXAMPLES:
        generate(example, TESTS / "goldens")
    (TESTS / "goldens/bridge.vectors").write_text(vectors_text(vectors.MESSAGES), encoding="utf-8")


if __name__ == "__main__":
    main()
