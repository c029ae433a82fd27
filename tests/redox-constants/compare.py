"""Compares the constants of our headers with those of the published crates; TAP, one line a constant.

usage: compare.py PROGRAM SOURCE_ROOT BUILD_FOLDER
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# redox-scheme asks for one unstable feature of the library, which a stable compiler hides.
CARGO_ENVIRONMENT = {"RUSTC_BOOTSTRAP": "1"}


def declared(source_root):
    """The names of all constants in the two headers."""
    names = set()
    for header in ("wire.h", "libredox.h"):
        text = (source_root / "schemes/scheme" / header).read_text(encoding="utf-8")
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
        for body in re.findall(r"enum \w+\s*\{(.*?)\}", text, re.DOTALL):
            names.update(re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", body.strip()))
        names.update(re.findall(r"#define (\w+) +\S", text))
    return names


def parse(text):
    """NAME=VALUE lines as a dictionary, '# NAME: SOURCE' lines as another."""
    values, elsewhere = {}, {}
    for line in text.splitlines():
        if line.startswith("# "):
            name, source = line[2:].split(": ", 1)
            elsewhere[name] = source
        else:
            name, value = line.split("=", 1)
            if values.setdefault(name, value) != value:
                raise SystemExit(f"{name} has two values")
    return values, elsewhere


def crate_values(build):
    """Runs the Rust program from a copy in the build folder: cargo writes beside its sources."""
    copy = build / "source"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(FOLDER, copy, ignore=lambda _, names: [name for name in names if name not in ("Cargo.toml", "src", "main.rs")])
    cargo = shutil.which("cargo")
    if not cargo:
        raise SystemExit("cargo is missing: install rustc-web and cargo-web (bookworm), or rustc and cargo (trixie and later)")
    result = subprocess.run([cargo, "run", "--quiet", "--manifest-path", copy / "Cargo.toml", "--target-dir", build / "target"],
                            env=dict(os.environ, **CARGO_ENVIRONMENT), stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"cargo failed with {result.returncode}")
    return parse(result.stdout)[0]


def main():
    program, source_root, build = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    ours, elsewhere = parse(subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout)
    theirs = crate_values(build)
    missing = declared(source_root) - set(ours) - set(elsewhere)
    names = sorted(set(ours) | set(theirs))
    results = [(name, ours.get(name) == theirs.get(name), f"ours {ours.get(name)}, the crate's {theirs.get(name)}") for name in names]
    results.append(("every constant of the headers is listed", not missing, ", ".join(sorted(missing))))
    print(f"1..{len(results)}")
    for number, (name, good, detail) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
        if not good:
            print(f"# {detail}")
    for name, source in elsewhere.items():
        print(f"# not compared: {name} ({source})")
    return 0 if all(good for _, good, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
