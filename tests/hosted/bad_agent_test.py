#!/usr/bin/env python3
"""Agents that lie, flood, stop reading, or speak another version: the bridge drops the connection, says so once, and its clients go on."""

import sys
import time
import unittest

import hosted
from hosted import wire

import tap


def begin(**changes):
    values = dict(generation=1, driver="liar", width_min=0, width_max=4096, height_min=0, height_max=4096, cursor_width=64, cursor_height=64,
                  crtcs=1, connectors=1)
    values.update(changes)
    return wire.TopologyBegin(**values)


class BadAgent(hosted.Case):
    """A client draws throughout and must not see an error."""

    bridge_options = ("--mode", "64x48")

    def setUp(self):
        super().setUp()
        self.shown = hosted.Shown(self.client(), "/scheme/display/1", 64, 48, self.folder)
        self.listen()

    def lines(self, text):
        return self.log().count(text)

    def client_goes_on(self):
        self.pixels = self.shown.noise(self.random)
        self.shown.dirty()
        self.shown.client.do("fsync", self.shown.fd)

    def recovers(self, **topology):
        """An honest agent comes after: it gets the newest picture, unasked."""
        paint = self.painter(**topology)
        self.shown.client.do("fsync", self.shown.fd)
        self.assertEqual(paint.connection.picture(), self.pixels)
        paint.stop()

    def dropped(self, connection, text):
        """The connection ends with ERROR and one line of log that has TEXT."""
        error = connection.closed_by_peer()
        self.assertIsNotNone(error, "no ERROR before the end of the connection")
        connection.close()
        self.assertIn(text, self.log())
        self.client_goes_on()

    def test_another_version(self):
        connection = self.agent.accept(version=7)  # it speaks 1 as well: the lower one is spoken
        connection.topology()
        connection.paint(connection.receive())
        connection.close()
        self.client_goes_on()
        stream, _ = self.agent.listener.accept()
        connection = hosted.Connection(stream, greet=False)
        hello = bytearray(wire.frame(wire.Hello(version=1, role=wire.Role.AGENT, epoch=1, features=0, frame_max=65536, name="old")))
        hello[wire.HEADER.size:wire.HEADER.size + 4] = bytes(4)  # version 0
        lines = self.lines("is it of another version?")
        stream.sendall(hello)
        connection.closed_by_peer()
        connection.close()
        self.eventually(lambda: self.lines("is it of another version?") == lines + 1, "one line that says so")
        self.assertRegex(self.log(), r" warn wire: no session with .*another version", "with the usual LOG nobody would see it")
        self.client_goes_on()
        self.recovers()

    def test_another_role(self):
        connection = hosted.Connection(self.agent.listener.accept()[0], greet=False)
        connection.send(wire.Hello(version=1, role=wire.Role.DISPLAY, epoch=1, features=0, frame_max=65536, name="mirror"))
        connection.closed_by_peer()
        connection.close()
        self.client_goes_on()
        self.recovers()

    def lie(self, text, *messages):
        """The bridge drops a connection with MESSAGES on it, and says TEXT."""
        connection = self.agent.accept()
        for message in messages:
            connection.send(message)
        self.dropped(connection, text)
        self.recovers()

    def test_first_generation_is_not_1(self):
        self.lie("generation", begin(generation=2))

    def test_topology_inside_a_topology(self):
        self.lie("inside a topology", begin(), begin(generation=2))

    def test_least_size_above_the_largest(self):
        self.lie("least size", begin(width_min=4097))

    def test_crtc_that_was_not_announced(self):
        self.lie("crtc out of order", begin(), wire.Crtc(index=3, gamma_size=0))

    def test_topology_ends_too_early(self):
        self.lie("too early", begin(), wire.Crtc(index=0, gamma_size=0), wire.TopologyEnd(generation=1))

    def test_part_without_a_topology(self):
        self.lie("without topology_begin", wire.Crtc(index=0, gamma_size=0))

    def test_commit_done_of_nothing(self):
        self.lie("not under way", wire.CommitDone(id=1, crtc=0, result=0, time_ns=0))

    def test_sync_done_of_nothing(self):
        self.lie("without a sync", wire.SyncDone(id=1))

    def raw(self, *frames):
        connection = self.agent.accept()
        for frame in frames:
            connection.stream.sendall(frame)
        connection.closed_by_peer()
        connection.close()
        self.client_goes_on()
        self.recovers()

    def test_bytes_that_are_no_message(self):
        self.raw(wire.HEADER.pack(1, 16, 0, 0) + b"x")

    def test_message_that_is_too_short(self):
        self.raw(wire.HEADER.pack(17, 34, 0, 0) + bytes(17))

    def test_unknown_opcode(self):
        self.raw(wire.HEADER.pack(0, 99, 0, 0))

    def test_message_of_the_other_direction(self):
        self.raw(wire.HEADER.pack(12, 32, 0, 0) + bytes(12))

    def test_frame_without_end(self):
        self.raw(wire.HEADER.pack(0xFFFFFFF0, 34, 0, 0) + bytes(100))

    def test_noise(self):
        for _ in range(3):
            connection = self.agent.accept()
            try:
                connection.stream.sendall(self.random.randbytes(100000))
            except OSError:
                pass
            connection.closed_by_peer()
            connection.close()
            self.client_goes_on()
        self.recovers()

    def test_flood_of_topologies(self):
        before = self.memory_kib()
        connection = self.agent.accept()
        try:
            for _ in range(3000):
                connection.topology()
        except OSError:
            pass
        connection.closed_by_peer()
        connection.close()
        self.assertIn("too many topologies", self.log())
        self.assertLess(self.memory_kib(), before + 32 * 1024)
        self.client_goes_on()
        self.recovers()

    def test_stops_reading(self):
        """SETCRTC does not hang for ever, memory stays bounded, reads are answered meanwhile."""
        client = self.client()
        connection = self.agent.accept()
        connection.topology(modes=((1024, 768),))
        self.eventually(lambda: self.status("topology").startswith("of the agent"), "the topology is taken")
        client.send("show", "/scheme/display/1", 1024, 768)
        start = time.monotonic()
        before = self.memory_kib()
        other = self.client()
        fd = other.open("/scheme/display/1")
        asked = 0
        while not client.answered(0):
            other.call(fd, hosted.GETRESOURCES, bytes(32))
            asked += 1
            self.assertLess(time.monotonic() - start, hosted.TIMEOUT_S, "SETCRTC hangs")
        self.shown = hosted.Shown(client, None, 1024, 768, self.folder, client.answer())
        self.assertGreater(time.monotonic() - start, 5, "the wait has to be the limit's, not less")
        self.assertGreater(asked, 100)
        self.assertLess(self.memory_kib(), before + 16 * 1024)
        connection.close()
        self.assertIn("it does not answer, or does not read", self.log())
        self.client_goes_on()
        self.recovers(modes=((1024, 768),))

    def test_answers_too_early(self):
        """commit_done before the last pixel was sent."""
        client = self.client()
        connection = self.agent.accept()
        connection.topology(modes=((2048, 2048),))
        self.eventually(lambda: self.status("topology").startswith("of the agent"), "the topology is taken")
        client.send("show", "/scheme/display/1", 2048, 2048)
        while True:
            message = connection.receive()
            if isinstance(message, wire.Commit) and message.modes and message.modes[0].hdisplay == 2048:
                break
            connection.paint(message)
        connection.send(wire.CommitDone(id=message.id, crtc=message.crtc, result=0, time_ns=0))
        connection.closed_by_peer()
        connection.close()
        self.assertIn("not under way", self.log())
        self.shown = hosted.Shown(client, None, 2048, 2048, self.folder, client.answer())
        self.client_goes_on()
        self.recovers(modes=((2048, 2048),))

    def test_many_bad_connections_are_few_lines(self):
        for _ in range(8):
            connection = self.agent.accept()
            connection.send(wire.SyncDone(id=5))
            connection.closed_by_peer()
            connection.close()
        self.assertLess(self.lines(" warn "), 8)
        self.client_goes_on()
        self.recovers()


if __name__ == "__main__":
    unittest.main() if "-v" in sys.argv else tap.main()
