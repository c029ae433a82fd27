"""Starts the project's daemons: each takes --ready-fd."""
import os
import select
import subprocess


class NotReady(Exception):
    pass


def start_ready(argv, timeout_s=30, **popen):
    """Starts a daemon and waits for the newline on its --ready-fd. When there is none in time, it is ended, and NotReady raised."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as ready:
        try:
            process = subprocess.Popen([*argv, "--ready-fd", str(writer)], pass_fds=[writer], **popen)
        finally:
            os.close(writer)
        in_time = select.select([ready], [], [], timeout_s)[0]
        if in_time and ready.read() == b"\n":
            return process
    process.terminate()
    status = process.wait()
    raise NotReady(f"{argv[0]}: {f'ended with {status}' if in_time else f'not ready within {timeout_s} s'}")
