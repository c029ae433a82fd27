#!/usr/bin/env python3
"""Runs each fuzzer of tests/fuzz for some seconds, with clang's sanitizers. Findings are left in build-fuzz/crashes/."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-fuzz"


def build():
    options = ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, *options], cwd=ROOT, env=dict(os.environ, CC="clang"),
                       stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["ninja", "-C", BUILD], stdout=subprocess.DEVNULL, check=True)


def fuzz(program, seconds):
    """One fuzzer. New inputs go to the build folder; the committed corpus only seeds."""
    thing = program.name.removeprefix("fuzz_")
    found = BUILD / "corpus" / thing
    crashes = BUILD / "crashes" / thing
    found.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    command = [program, f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/", "-print_final_stats=1",
               "-max_len=16384", found, ROOT / "tests/fuzz/corpus" / thing]
    dictionary = BUILD / "proto" / f"{thing.split('_')[0]}.dict"
    if dictionary.exists():
        command.insert(1, f"-dict={dictionary}")
    environment = dict(os.environ, UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors="replace", check=False)
    runs = [line.split()[-1] for line in result.stdout.splitlines() if "number_of_executed_units" in line]
    good = result.returncode == 0 and runs != []
    print(f"{thing}: {runs[0] if runs else 'no'} runs, {'no finding' if good else 'FAILED'}", flush=True)
    if not good:
        print(result.stdout[-6000:])
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each fuzzer")
    parser.add_argument("--only", action="append", metavar="THING", help="only this one (may be repeated)")
    arguments = parser.parse_args()
    build()
    programs = sorted(path for path in (BUILD / "tests/fuzz").glob("fuzz_*") if path.is_file())
    if arguments.only:
        programs = [path for path in programs if path.name.removeprefix("fuzz_") in arguments.only]
    results = [fuzz(path, arguments.seconds) for path in programs]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
