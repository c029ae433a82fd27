#!/usr/bin/env python3
"""Runs all tests of the project and ends with 'N passed, N failed'.

A part is one configuration (or one kind of check) with a budget in minutes; a part that passes its budget by half fails. A part whose
prerequisite is missing fails. `--only PART` runs one of them while developing.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OVERRUN = 1.5


class Part:
    """Counts what passed and failed in one part, and says how long it took."""

    def __init__(self, name, budget_min):
        self.name = name
        self.budget_min = budget_min
        self.passed = 0
        self.failed = []
        self.start = time.monotonic()

    def note(self, name, good, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed.append(name)
            print(f"  FAILED {self.name}: {name}", flush=True)
            if detail:
                print("    " + detail.strip().replace("\n", "\n    "), flush=True)

    def command(self, name, argv, env=None):
        """One command, one check: passes when its exit status is 0."""
        result = subprocess.run(argv, cwd=ROOT, env=dict(os.environ, **(env or {})), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        self.note(name, result.returncode == 0, result.stdout[-6000:])
        return result.returncode == 0

    def finish(self):
        minutes = (time.monotonic() - self.start) / 60
        over = minutes > self.budget_min * OVERRUN
        if over:
            self.note("time budget", False, f"{minutes:.1f} minutes, budget {self.budget_min}")
        print(f"{self.name}: {self.passed} passed, {len(self.failed)} failed, "
              f"{minutes:.1f} of {self.budget_min} minutes", flush=True)


def setup(part, build, compiler, options):
    argv = ["meson", "setup", build, *options]
    if (ROOT / build / "build.ninja").exists():
        argv.append("--reconfigure")
    return (part.command(f"setup {build}", argv, {"CC": compiler})
            and part.command(f"build {build} without warnings", ["ninja", "-C", build]))


def tap_counts(text):
    """Results of the single tests in a TAP text: (passed, names of the failed)."""
    passed = len(re.findall(r"^ok\b", text, re.MULTILINE))
    failed = re.findall(r"^not ok\s*\d*\s*-?\s*(.*)$", text, re.MULTILINE)
    return passed, failed


def meson_tests(part, build, options, env=None):
    """Runs meson's tests of a build folder and adds up their single results."""
    log = ROOT / build / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--num-processes", "2", *options], cwd=ROOT,
                   env=dict(os.environ, **(env or {})), stdout=subprocess.DEVNULL, check=False)
    if not log.exists():
        part.note(f"tests of {build}", False, "meson left no log")
        return
    programs = [json.loads(line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line]
    if not programs:
        part.note(f"tests of {build}", False, "no test ran")
    for program in programs:
        output = program.get("stdout", "")
        passed, failed = tap_counts(output)
        detail = (output + program.get("stderr", ""))[-6000:]
        part.passed += passed
        if program["result"] != "OK" or failed:
            part.note(f"{program['name']} ({program['result']}) {'; '.join(failed)}", False, detail)
        elif passed == 0:
            part.note(program["name"], True)


def lint():
    part = Part("lint", 3)
    sources = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    part.command("clang-format", ["clang-format-19", "--dry-run", "-Werror", *sources.stdout.split()])
    part.command("the declaration is valid", ["xmllint", "--noout", "--dtdvalid", "proto/protocol.dtd", "proto/bridge.xml"])
    scripts = subprocess.run(["git", "grep", "-lE", "^#!/bin/(ba)?sh"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for script in scripts.stdout.split():
        shell = "bash" if (ROOT / script).read_text(encoding="utf-8").startswith("#!/bin/bash") else "sh"
        part.command(f"syntax of {script}", [shell, "-n", script])
    part.finish()
    return part


def gcc_release():
    part = Part("gcc release", 10)
    if setup(part, "build", "gcc", ["--buildtype=release"]):
        meson_tests(part, "build", ["--no-suite", "vm"])
    part.finish()
    return part


def clang_sanitized():
    part = Part("clang with sanitizers", 14)
    options = ["--buildtype=debug", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
    env = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
    if setup(part, "build-clang", "clang", options):
        meson_tests(part, "build-clang", ["--no-suite", "vm", "--timeout-multiplier", "3"], env)
    part.finish()
    return part


def other_builds():
    part = Part("other builds", 4)
    setup(part, "build-gcc-debug", "gcc", ["--buildtype=debug"])
    setup(part, "build-clang-release", "clang", ["--buildtype=release"])
    part.finish()
    return part


def virtual_machine():
    part = Part("virtual machine", 14)
    if setup(part, "build", "gcc", ["--buildtype=release"]):
        meson_tests(part, "build", ["--suite", "vm"])
    part.finish()
    return part


PARTS = {"lint": lint, "gcc": gcc_release, "clang": clang_sanitized, "builds": other_builds, "vm": virtual_machine}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part (may be repeated)")
    arguments = parser.parse_args()
    parts = [PARTS[name]() for name in arguments.only or PARTS]
    passed = sum(part.passed for part in parts)
    failed = sum(len(part.failed) for part in parts)
    for part in parts:
        for name in part.failed:
            print(f"failed: {part.name}: {name}")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
