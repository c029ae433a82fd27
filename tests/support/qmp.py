"""A QMP client for tests: one command at a time over QEMU's unix socket, and pictures of a monitor."""

import json
import socket

from PIL import Image


class QmpError(Exception):
    pass


class Qmp:
    def __init__(self, path, timeout_s=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rw", encoding="utf-8")
        self.file.readline()
        self.command("qmp_capabilities")

    def close(self):
        self.file.close()
        self.socket.close()

    def command(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise QmpError(f"QEMU closed the connection during {name}")
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise QmpError(f"{name}: {answer['error']['desc']}")

    def screendump(self, path, device=None):
        """
        Takes one picture of the monitor (of DEVICE by its id) and returns it as an RGB image. The two commands in front are no retry: a device
        has its queue emptied by QEMU's main loop, which may otherwise find the guest's kick and this command in the same turn.
        """
        for _ in range(2):
            self.command("query-status")
        arguments = {"filename": str(path), "format": "png"}
        if device:
            arguments["device"] = device
        self.command("screendump", **arguments)
        with Image.open(path) as picture:
            return picture.convert("RGB")
