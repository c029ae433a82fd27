#!/usr/bin/python3
"""Stands in for a process that vm-launch starts: QEMU, a vsock device or a bridge, told apart by its arguments.

BEHAVIOUR_QEMU, BEHAVIOUR_VSOCK, BEHAVIOUR_BRIDGE choose what goes wrong. Each writes one line to the file in NOTES when something happens to it.
"""

import os
import signal
import socket
import sys
import time


def note(text):
    with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
        notes.write(f"{ROLE} {text}\n")


def qmp_path():
    for argument in sys.argv:
        if argument.startswith("socket,id=qmp,"):
            return argument.split("path=", 1)[1].replace(",,", ",")
    return None


ROLE = "qemu" if qmp_path() else "vsock" if "--cid" in sys.argv else "bridge"
BEHAVIOUR = os.environ.get(f"BEHAVIOUR_{ROLE.upper()}", "")


def on_term(*_):
    note("SIGTERM")
    if BEHAVIOUR != "ignores":
        sys.exit(0)


def forever():
    while True:
        signal.pause()


def serve_qmp():
    if BEHAVIOUR == "never-listens":
        forever()
    server = socket.socket(socket.AF_UNIX)
    server.bind(qmp_path())
    server.listen()
    print("boot: hello\x1b[31m from the guest", flush=True)
    connection, _ = server.accept()
    if BEHAVIOUR == "silent":
        forever()
    if BEHAVIOUR == "garbage":
        connection.sendall(b"not JSON\n")
        forever()
    connection.sendall(b'{"QMP": {}}\n')
    reader = connection.makefile()
    if BEHAVIOUR == "floods":
        for number in range(5000):
            print(f"flood {number}", flush=True)
        time.sleep(1.1)  # the limit counts by the second
        print("after", flush=True)
    for line in reader:
        command = line.split('"execute":"')[1].split('"')[0]
        note(command)
        if command == "system_powerdown" and BEHAVIOUR == "hangs":
            continue
        connection.sendall(b'{"return": {}}\n')
        if command == "qmp_capabilities" and BEHAVIOUR == "dies":
            time.sleep(0.2)
            os._exit(7)
        if command == "qmp_capabilities" and BEHAVIOUR == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if command == "qmp_capabilities" and BEHAVIOUR == "powers-off":
            sys.exit(0)
        if command == "system_powerdown" and BEHAVIOUR not in ("no-powerdown", "ignores"):
            connection.sendall(b'{"event": "POWERDOWN"}\n')
            sys.exit(0)
        if command == "quit" and BEHAVIOUR != "ignores":
            sys.exit(0)
    forever()


def main():
    signal.signal(signal.SIGTERM, on_term)
    note(f"started {os.getpid()}")
    if BEHAVIOUR == "fails":
        print("it cannot work like this", file=sys.stderr)
        sys.exit(3)
    if ROLE == "qemu":
        serve_qmp()
    if BEHAVIOUR != "unready":
        note(f"redox {os.environ.get('REDOX_HOSTED_DIR')}")
        os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b"\n")
    if BEHAVIOUR == "dies":
        time.sleep(0.2)
        sys.exit(4)
    forever()


main()
