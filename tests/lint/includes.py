#!/usr/bin/env python3
"""Which folder may include which, what Redox-bound folders may call, and that each header compiles alone. Prints TAP.

usage: includes.py SOURCE_ROOT BUILD_ROOT CC...
"""
import pathlib
import re
import subprocess
import sys

# Folder: what it may include beside itself. A file belongs to the longest folder that matches.
SHARED = {"common", "proto", "schemes/scheme", "schemes/drm"}
ARROWS = {
    "common": {"proto"},
    "proto": set(),
    "schemes/scheme": {"common", "proto"},
    "schemes/drm": {"common", "proto", "schemes/scheme"},
    "schemes/hosted": SHARED,
    "schemes/display-bridge": SHARED,
    "guest-agent": SHARED,
    "vm-launch": SHARED,
}
EVERYWHERE = {"version.h"}  # generated

# What relibc lacks, in the folders that are built for Redox.
FOR_REDOX = ("common", "proto", "schemes/scheme", "schemes/drm", "schemes/display-bridge")
LACKING = re.compile(r"\b(timerfd_\w+|signalfd|eventfd|memfd_create|accept4|SOCK_SEQPACKET|"
                     r"open_memstream|fmemopen|CLOCK_REALTIME|sys/timerfd\.h|sys/eventfd\.h)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
PLATFORM = re.compile(r"^\s*#\s*(if|elif|ifdef|ifndef)\b.*\b__(redox|linux)__", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def folder_of(path):
    fitting = [folder for folder in ARROWS if path.startswith(folder + "/")]
    return max(fitting, key=len, default=None)


def check_arrows(name, text):
    folder = folder_of(name)
    for target in INCLUDE.findall(text):
        other = folder_of(target)
        if target in EVERYWHERE or other == folder or other in ARROWS[folder]:
            continue
        where = f"of {other}" if other else "by no path from the root of the tree"
        yield f'{name}: includes "{target}" {where}; {folder} may include ' \
              f'{", ".join(sorted(ARROWS[folder] | {folder}))}'


def check_platform(name, text):
    if PLATFORM.search(text) and not name.endswith(("_redox.c", "_linux.c")):
        yield f"{name}: system conditionals belong to *_redox.c and *_linux.c"


def check_lacking(name, text):
    if not name.startswith(FOR_REDOX) or name.endswith("_linux.c"):
        return
    for call in sorted(set(LACKING.findall(COMMENT.sub("", text)))):
        yield f"{name}: {call} is not there on Redox"


def check_alone(name, root, build, cc):
    drm = subprocess.run(["pkg-config", "--cflags", "libdrm"], capture_output=True, text=True, check=True)
    command = [*cc, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c",
               f"-I{root}", f"-I{build}", *drm.stdout.split(), "-include", name, "/dev/null"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        yield f"{name}: does not compile alone: {result.stderr.strip()}"


def main():
    root, build, cc = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    checks = {"arrows": [], "system conditionals": [], "calls that Redox lacks": [], "headers alone": []}
    files = 0
    for path in sorted(p for folder in ARROWS for p in (root / folder).rglob("*.[ch]")):
        name = str(path.relative_to(root))
        if any(part in ("tests", "target") for part in path.relative_to(root).parts):
            continue
        text = path.read_text(encoding="utf-8")
        files += 1
        checks["arrows"] += check_arrows(name, text)
        checks["system conditionals"] += check_platform(name, text)
        checks["calls that Redox lacks"] += check_lacking(name, text)
        if path.suffix == ".h":
            checks["headers alone"] += check_alone(name, root, build, cc)
    print(f"1..{len(checks)}")
    print(f"# {files} files")
    for number, (check, findings) in enumerate(checks.items(), 1):
        for finding in sorted(set(findings)):
            print("# " + finding.replace("\n", "\n# "))
        print(f"{'ok' if files and not findings else 'not ok'} {number} - {check}")


if __name__ == "__main__":
    main()
