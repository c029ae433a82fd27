#!/usr/bin/env python3
"""Every limit of common/limits.h is named by a test that runs it out, and by the code that keeps it. Prints TAP.

usage: limits.py SOURCE_ROOT
"""

import re
import sys
from pathlib import Path

HEADER = "common/limits.h"
TESTS = ("tests/unit", "tests/hosted", "tests/vm")
CODE = ("common", "schemes", "guest-agent", "vm-launch")


def words(root, folders):
    found = set()
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.suffix in (".c", ".h", ".py") and str(path.relative_to(root)) != HEADER:
                found |= set(re.findall(r"\bLIMIT_[A-Z_]+\b", path.read_text(encoding="utf-8")))
    return found


def main():
    root = Path(sys.argv[1])
    limits = re.findall(r"^#define (LIMIT_[A-Z_]+)\b", (root / HEADER).read_text(encoding="utf-8"), re.MULTILINE)
    print("1..2")
    for number, (what, folders) in enumerate((("each limit has a test", TESTS), ("each limit is kept by code", CODE)), 1):
        missing = [limit for limit in limits if limit not in words(root, folders)]
        for limit in missing:
            print(f"# {limit}")
        print(f"{'ok' if limits and not missing else 'not ok'} {number} - {what} ({len(limits)})")


if __name__ == "__main__":
    main()
