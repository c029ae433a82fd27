#!/usr/bin/env python3
"""Runs every libFuzzer target for a while; a finding ends it with status 1 and the file that shows it."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-fuzz"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("targets", nargs="*", help="only these")
    arguments = parser.parse_args()
    setup = ["meson", "setup", BUILD, "-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
    if (BUILD / "build.ninja").exists():
        setup.append("--reconfigure")
    subprocess.run(setup, cwd=ROOT, env=dict(os.environ, CC="clang"), check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD], check=True)
    found = 0
    targets = sorted(path for path in (BUILD / "tests/fuzz").glob("fuzz_*") if path.is_file() and os.access(path, os.X_OK))
    if not targets:
        sys.exit("fuzz: no targets were built")
    for target in targets:
        if arguments.targets and target.name not in arguments.targets:
            continue
        work = BUILD / "corpus" / target.name
        work.mkdir(parents=True, exist_ok=True)
        corpora = [work, *(path for path in [ROOT / "tests/fuzz/corpus" / target.name] if path.exists())]
        print(f"fuzz: {target.name} for {arguments.seconds} s", flush=True)
        result = subprocess.run([target, f"-max_total_time={arguments.seconds}", "-timeout=10", "-rss_limit_mb=2048",
                                 "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={BUILD}/{target.name}-", *corpora],
                                cwd=ROOT, check=False)
        found += result.returncode != 0
    print(f"fuzz: {found} targets found something")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
