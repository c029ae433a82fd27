#!/usr/bin/env python3
"""Clients that lie to display-bridge: each gets an errno, and an honest client beside them goes on as if nothing were."""

import errno
import struct
import sys
import unittest

import hosted
from hosted import (CREATE_DUMB, CURSOR2, DESTROY_DUMB, DIRTYFB, FIRST_CRTC, GET_CAP, GETCONNECTOR, GETCRTC, GETPROPBLOB, GETRESOURCES, MAP_DUMB,
                    MAP_PRIVATE, MAP_SHARED, O_RDONLY, O_STAT, PROT_READ, PROT_WRITE, SET_VERSION, SETCRTC, VERSION, u32)

import tap

MOON = 0xFFFFFFFF


class BadClient(hosted.Case):
    """The honest neighbour draws before and after each test."""

    def setUp(self):
        super().setUp()
        self.paint = self.painter()
        self.neighbour = hosted.Shown(self.client(), "/scheme/display/v2/1", 64, 48, self.folder)
        self.bad = self.client()
        self.fd = self.bad.open("/scheme/display/1")
        self.addCleanup(self.after)

    def after(self):
        pixels = self.neighbour.noise(self.random)
        self.neighbour.dirty()
        self.neighbour.client.do("fsync", self.neighbour.fd)
        self.assertEqual(self.paint.connection.picture(), pixels)
        self.assertEqual(self.status("outages"), "0")
        self.paint.stop()

    def buffer(self, width=64, height=64):
        answer = self.bad.call(self.fd, CREATE_DUMB, u32(height, width, 32, 0, 0, 0) + bytes(8))
        handle, pitch, size = struct.unpack("<IIQ", answer[16:])
        offset = struct.unpack("<IIQ", self.bad.call(self.fd, MAP_DUMB, u32(handle, 0) + bytes(8)))[2]
        return handle, pitch, size, offset

    def test_wrong_lengths(self):
        for nr, length in ((VERSION, 40), (GET_CAP, 16), (GETRESOURCES, 32), (SETCRTC, 96), (GETCONNECTOR, 48), (DIRTYFB, 16),
                           (CREATE_DUMB, 32), (CURSOR2, 36)):
            for wrong in (0, 1, length - 1, length + 1, length + 4096, 70000):
                self.refused(errno.EINVAL, self.bad.call, self.fd, nr, bytes(wrong))

    def test_counts_beyond_everything(self):
        connector = u32(self.neighbour.connector)
        for payload in (u32(MOON, 0, 0, 0) + connector + bytes(28), u32(0, MOON, 0, 0) + connector + bytes(28),
                        u32(0, 0, MOON, 0) + connector + bytes(28), u32(MOON, MOON, MOON, 0) + connector + bytes(28)):
            self.refused(errno.EINVAL, self.bad.call, self.fd, GETCONNECTOR, payload)
            self.refused(errno.EINVAL, self.bad.call, self.fd, GETCONNECTOR, payload + bytes(5000))
        for at in range(4):
            counts = [0] * 4
            counts[at] = MOON
            self.refused(errno.EINVAL, self.bad.call, self.fd, GETRESOURCES, u32(*counts) + bytes(16))
        self.refused(errno.EINVAL, self.bad.call, self.fd, DIRTYFB, u32(self.neighbour.fb, 0, 0, MOON))
        self.refused(errno.EINVAL, self.bad.call, self.fd, GETPROPBLOB, u32(0x100, MOON))
        self.refused(errno.EINVAL, self.bad.call, self.fd, VERSION, bytes(16) + struct.pack("<QQQ", 2**64 - 1, 2**63, 2**32 + 1))
        self.refused(errno.EINVAL, self.bad.call, self.fd, SETCRTC, u32(0x40000001, FIRST_CRTC, self.neighbour.fb) + bytes(84) + bytes(4))

    def test_array_of_zeros_with_a_count(self):
        """A NULL pointer with a count arrives as zeros (redox-abi.md 4.2)."""
        self.bad.call(self.fd, DIRTYFB, u32(self.neighbour.fb, 0, 0, 3) + bytes(24))
        mode = bytes(self.bad.call(self.fd, GETCRTC, u32(0, FIRST_CRTC) + bytes(88)))[28:]
        self.refused(errno.ENOENT, self.bad.call, self.fd, SETCRTC,
                     u32(1, FIRST_CRTC, self.neighbour.fb, 0, 0, 0, 1) + mode + bytes(4))

    def test_unknown_and_terminal_ioctls(self):
        for nr in (0x09, 0x2D, 0x40, 0x64, 0xBC, 0xBF, 0xFF, 0x100, 2**32, 2**64 - 1):
            self.refused(errno.EINVAL, self.bad.call, self.fd, nr, bytes(16))
        for _ in range(20):
            noise = bytearray(self.random.randbytes(48))
            noise[23] = 1
            self.refused(errno.EINVAL, self.bad.call, self.fd, VERSION, bytes(noise))  # tcgetattr
            self.refused(errno.EINVAL, self.bad.call, self.fd, SET_VERSION, self.random.randbytes(8))  # TIOCGWINSZ

    def test_noise_as_payload(self):
        for _ in range(400):
            nr = self.random.choice([0x00, 0x01, 0x07, 0x0C, 0x0D, *range(0xA0, 0xBC), 0xCE, 0xD0, 0xD1])
            try:
                self.bad.call(self.fd, nr, self.random.randbytes(self.random.choice([4, 8, 16, 20, 24, 28, 32, 36, 48, 96, 104])))
            except hosted.RedoxError as error:
                self.assertIn(error.error, (errno.EINVAL, errno.ENOENT, errno.ENOSPC, errno.ERANGE, errno.ENOMEM, errno.EBUSY))

    def race(self, nr, payload, offset, other):
        """Both values of the byte were seen by the bridge, and nothing but an answer or EINVAL came of it."""
        accepted, refused, bad = (int(word) for word in self.bad.do("race", self.fd, nr, payload.hex(), offset, other, 2000))
        self.assertEqual(bad, 0)
        self.assertGreater(accepted, 0, "the other thread did not race")
        self.assertGreater(refused, 0, "the other thread did not race")

    def test_payload_changed_by_another_thread(self):
        """A count in a page that is shared live (redox-run.md 2.5; proved in tests/unit/hosted/request_test.c) changes while the call is
        served. The copy was taken once: the answer fits what was copied, or the length was wrong."""
        count = 2000
        resources = u32(0, 0, 0, count) + bytes(16) + bytes(4 * count)
        self.race(GETRESOURCES, resources, 13, 0x0F)
        connector = u32(100, 0, 0, 0, self.neighbour.connector) + bytes(28) + bytes(68 * 100)
        self.race(GETCONNECTOR, connector, 0, 120)
        version = bytes(16) + struct.pack("<QQQ", 4000, 200, 100) + bytes(4300)
        self.race(VERSION, version, 25, 0x10)

    def test_mappings_that_do_not_exist(self):
        _, _, size, offset = self.buffer()
        shared = (PROT_READ | PROT_WRITE, MAP_SHARED)
        for wrong_offset, wrong_size in ((offset, size + 4096), (offset + size, 4096), (offset + 4096, size), (0, 4096), (offset * 2, 4096),
                                         (offset + (200 << 28), 4096), (2**63, 4096), (offset, 2**40)):
            self.refused(errno.EINVAL, self.bad.do, "mmap", self.fd, wrong_offset, wrong_size, *shared)
        self.bad.do("mmap", self.fd, offset, size, *shared)

    def test_private_writable_mapping_is_refused(self):
        """It would panic Redox's kernel (redox-run.md 2.5)."""
        _, _, size, offset = self.buffer()
        with self.assertRaises(hosted.RedoxError):
            self.bad.do("mmap", self.fd, offset, size, PROT_READ | PROT_WRITE, MAP_PRIVATE)
        self.bad.do("mmap", self.fd, offset, size, PROT_READ, MAP_PRIVATE)

    def test_access_modes(self):
        """The kernel does not enforce them (redox-run.md 2.5)."""
        stat = self.bad.open("/scheme/display/9", O_STAT)
        with self.assertRaises(hosted.RedoxError):
            self.bad.call(stat, GET_CAP, struct.pack("<QQ", 1, 0))
        # But a card that was opened for reading can be drawn on: a new inputd hands such ones to its consumers.
        reader = self.bad.open("/scheme/display/1", O_RDONLY)
        answer = self.bad.call(reader, CREATE_DUMB, u32(64, 64, 32, 0, 0, 0) + bytes(8))
        self.bad.do("mmap", reader, struct.unpack_from("<I", answer, 16)[0] << 28, 4096, PROT_READ | PROT_WRITE, MAP_SHARED)
        self.assertEqual(self.status("vts"), "1")

    def test_fork_with_a_destroyed_buffer_mapped(self):
        handle, _, size, offset = self.buffer()
        mapping = self.bad.do("mmap", self.fd, offset, size, PROT_READ | PROT_WRITE, MAP_SHARED)[0]
        self.bad.do("fork")
        self.bad.call(self.fd, DESTROY_DUMB, u32(handle))
        self.bad.do("fork")
        self.bad.do("munmap", mapping)
        self.refused(errno.EINVAL, self.bad.do, "mmap", self.fd, offset, size, PROT_READ, MAP_SHARED)
        self.eventually(lambda: self.status("buffers") == "1", "the destroyed buffer is freed")

    def test_killed_clients_leave_nothing(self):
        before = self.descriptors()
        for _ in range(10):
            victim = self.client()
            hosted.Shown(victim, "/scheme/display/5", 64, 48, self.folder)
            victim.send("fsync", 3)
            victim.kill()
        self.eventually(lambda: self.status("framebuffers") == "1" and self.status("buffers") == "1", "killed clients' objects are freed")
        self.eventually(lambda: self.descriptors() <= before + 1, "descriptors are closed")

    def test_limit_of_buffers_and_bytes(self):
        made = []
        with self.assertRaises(hosted.RedoxError):
            while True:
                made.append(self.buffer(1, 1)[0])
        self.assertEqual(len(made), 256)
        self.bad.call(self.fd, DESTROY_DUMB, u32(made[100]))
        self.assertEqual(self.buffer(1, 1)[0], made[100])
        self.refused(errno.ENOMEM, self.bad.call, self.bad.open("/scheme/display/1"), CREATE_DUMB, u32(20000, 20000, 32, 0, 0, 0) + bytes(8))


if __name__ == "__main__":
    unittest.main() if "-v" in sys.argv else tap.main()
