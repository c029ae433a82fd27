#!/usr/bin/env python3
"""The vsock device with a real Linux driver and a real QEMU: streams both ways, refusals, many at once, stop, reboot, a new QEMU.

The guest runs tests/bench/vsock_guest.c. Bytes are seeded noise, new each run.
"""

import os
import random
import socket
import struct
import sys
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import tap  # noqa: E402
from qmp import Qmp  # noqa: E402
from vsock_machine import READY, VsockMachine  # noqa: E402

BUILD = Path(os.environ.get("BRIDGE_BUILD", str(ROOT / "build")))
SEED = random.SystemRandom().randrange(1 << 31)
GUEST_PORT, HOST_PORT = 5000, 5001
ECHO, SINK, DIAL = 1, 2, 5
SECONDS = 60


class Refused(Exception):
    pass


class Vsock(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"# seed {SEED}", flush=True)
        cls.random = random.Random(SEED)
        cls.machine = VsockMachine(BUILD).__enter__()
        cls.addClassCleanup(cls.machine.__exit__, None, None, None)
        cls.machine.boot()
        cls.quiet = cls.machine.device_descriptors()

    def connect(self, port=GUEST_PORT):
        """A stream to the guest."""
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(SECONDS)
        self.addCleanup(stream.close)
        stream.connect(str(self.machine.host_path))
        stream.sendall(b"CONNECT %d\n" % port)
        answer = b""
        while not answer.endswith(b"\n"):
            byte = stream.recv(1)
            if not byte:
                raise Refused
            answer += byte
        self.assertRegex(answer, rb"^OK \d+\n$")
        return stream

    def play(self, what, size, count):
        stream = self.connect()
        stream.sendall(struct.pack("<III", what, size, count))
        return stream

    def receive(self, stream, count):
        parts = []
        while count > 0:
            part = stream.recv(min(count, 1 << 20))
            self.assertTrue(part, "the stream ended early")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def assert_echoes(self, stream, noise):
        """What goes out comes back the same, while both directions are full."""
        writer = threading.Thread(target=stream.sendall, args=(noise,))
        writer.start()
        back = self.receive(stream, len(noise))
        writer.join()
        self.assertEqual(noise, back)

    def assert_ended(self, stream):
        try:
            self.assertEqual(stream.recv(1), b"")
        except ConnectionResetError:
            pass

    def noise(self, count):
        return self.random.randbytes(count)

    def test_1_echo(self):
        for size, count in ((1, 100), (64, 500), (65536, 40), (1000003, 8)):
            self.assert_echoes(self.play(ECHO, size, count), self.noise(size * count))

    def test_1_guest_connects(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(SECONDS)
            listener.bind(f"{self.machine.host_path}_{HOST_PORT}")
            listener.listen()
            self.play(DIAL, 1, 1)
            stream, _ = listener.accept()
        os.unlink(f"{self.machine.host_path}_{HOST_PORT}")
        with stream:
            stream.settimeout(SECONDS)
            self.assert_echoes(stream, self.noise(3000000))
            stream.sendall(b"the end")
            stream.shutdown(socket.SHUT_WR)
            self.assertEqual(self.receive(stream, 7), b"the end")
            self.assert_ended(stream)

    def test_1_nobody_listens(self):
        with self.assertRaises(Refused):
            self.connect(4999)
        self.play(DIAL, 1, 1)
        self.machine.wait_console("vsock_guest: connect to the host: Connection reset by peer")

    def test_2_many_at_once(self):
        streams = [self.play(ECHO, 1000, 3) for _ in range(100)]
        for turn in range(3):
            noises = [self.noise(1000) for _ in streams]
            for stream, noise in zip(streams, noises):
                stream.sendall(noise)
            for stream, noise in zip(streams, noises):
                self.assertEqual(self.receive(stream, 1000), noise, f"turn {turn}")
        for stream in streams:
            self.assert_ended(stream)

    def test_2_one_after_another(self):
        for _ in range(200):
            stream = self.play(SINK, 10, 1)
            stream.sendall(b"0123456789")
            self.assertEqual(stream.recv(2), b"k")
            stream.close()

    def test_2_slow_reader_keeps_its_bytes(self):
        """The guest writes and closes at once; the program reads later."""
        stream = self.play(ECHO, 200000, 1)
        noise = self.noise(200000)
        stream.sendall(noise)
        other = self.play(ECHO, 10, 1)
        self.assert_echoes(other, self.noise(10))
        self.assertEqual(self.receive(stream, len(noise)), noise)
        self.assert_ended(stream)

    def test_3_stop_and_continue(self):
        qmp = Qmp(self.machine.folder / "qmp")
        self.addCleanup(qmp.close)
        stream = self.play(ECHO, 100000, 2)
        self.assert_echoes(stream, self.noise(100000))
        qmp.command("stop")
        noise = self.noise(100000)
        writer = threading.Thread(target=stream.sendall, args=(noise,))
        writer.start()
        qmp.command("cont")
        self.assertEqual(self.receive(stream, len(noise)), noise)
        writer.join()

    def test_4_reboot(self):
        qmp = Qmp(self.machine.folder / "qmp")
        self.addCleanup(qmp.close)
        stream = self.play(ECHO, 10, 2)
        self.assert_echoes(stream, self.noise(10))
        qmp.command("system_reset")
        self.machine.wait_console(READY, 2)
        self.assert_ended(stream)
        self.assert_echoes(self.play(ECHO, 65536, 10), self.noise(655360))

    def test_5_new_qemu(self):
        stream = self.play(ECHO, 10, 2)
        self.assert_echoes(stream, self.noise(10))
        self.machine.kill()
        self.assert_ended(stream)
        with self.assertRaises(Refused):
            self.connect()
        self.machine.boot()
        self.assert_echoes(self.play(ECHO, 65536, 10), self.noise(655360))

    def test_6_nothing_is_left(self):
        """As many descriptors as before the first stream: a new echo closes after all older ones."""
        stream = self.play(ECHO, 10, 1)
        self.assert_echoes(stream, self.noise(10))
        self.assert_ended(stream)
        stream.close()
        with self.assertRaises(Refused):  # its round trip comes after the guest's last word on the others
            self.connect(4999)
        self.assertEqual(self.machine.device_descriptors(), self.quiet)
        self.machine.device.terminate()
        self.assertEqual(self.machine.device.wait(), 0)
        self.assertFalse(self.machine.host_path.exists())


if __name__ == "__main__":
    tap.main()
