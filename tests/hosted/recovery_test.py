#!/usr/bin/env python3
"""Ends of agents under a drawing client, the program's own words, and the bridge without an agent. The agents here are guest-agent itself, headless, and one in Python that
ends at a random message."""

import os
import re
import signal
import struct
import subprocess
import sys
import time
import unittest
from pathlib import Path

import hosted
from hosted import FIRST_CRTC, GETCONNECTOR, GETCRTC, GETRESOURCES, wire, u32

import tap
from daemon import start_ready
from picture import describe_difference, differing_pixels, load
from PIL import Image

SCREEN = "[screen]\ncrtcs = 1\n[connector HDMI-A-1]\nmode = 160x120\nmode = 96x64\n"


class Recovery(hosted.Case):
    """A client that keeps drawing."""

    def guest_agent(self):
        """Starts guest-agent on the address; waits until the bridge has its topology."""
        config = self.folder / "screen.ini"
        config.write_text(SCREEN, encoding="ascii")
        with open(self.folder / "agent.log", "ab") as log:
            process = start_ready([os.environ["GUEST_AGENT"], "--listen", f"unix:{self.address}", "--headless", config, "--png",
                                   self.folder], hosted.TIMEOUT_S, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.eventually(lambda: self.status("topology").startswith("of the agent"), "the bridge has the topology")
        return process

    def png(self):
        return load(self.folder / "crtc-0.png")

    def assert_on_png(self, shown, pixels):
        expected = Image.frombuffer("RGB", (shown.width, shown.height), pixels, "raw", "BGRX", shown.pitch, 1)
        self.assertEqual(differing_pixels(self.png(), expected), 0, describe_difference(self.png(), expected))
        changed = bytearray(pixels)
        changed[0] ^= 255
        wrong = Image.frombuffer("RGB", (shown.width, shown.height), bytes(changed), "raw", "BGRX", shown.pitch, 1)
        self.assertEqual(differing_pixels(self.png(), wrong), 1)

    def test_guest_agent_is_killed_and_comes_back(self):
        agent = self.guest_agent()
        shown = hosted.Shown(self.client(), "/scheme/display/1", 160, 120, self.folder)
        pixels = shown.noise(self.random)
        shown.dirty()
        shown.client.do("fsync", shown.fd)
        self.assert_on_png(shown, pixels)
        agent.kill()
        agent.wait()
        for _ in range(20):  # no error at the client, and reads are the same
            pixels = shown.noise(self.random)
            shown.dirty()
            shown.client.do("fsync", shown.fd)
        self.eventually(lambda: self.status("link").startswith("down"), "the bridge has seen the end")
        self.assertEqual(self.status("outages"), "1")
        counts = struct.unpack("<8I", shown.client.call(shown.fd, GETRESOURCES, bytes(32)))
        self.assertEqual(counts[1:4], (1, 1, 1))
        (self.folder / "crtc-0.png").unlink()
        self.guest_agent()
        shown.client.do("fsync", shown.fd)
        self.assert_on_png(shown, pixels)
        self.assertGreater(int(self.status("outage_longest_ms")), 0)
        print(f"# the time without agent was {self.status('outage_longest_ms')} ms", flush=True)

    def test_agent_ends_at_random_messages(self):
        self.listen()
        paint = self.painter()
        shown = hosted.Shown(self.client(), "/scheme/display/1", 64, 48, self.folder)
        for _ in range(8):
            paint.stop()
            connection = self.agent.accept()
            connection.topology()
            shown.noise(self.random)
            shown.client.send("dirty", shown.fd, shown.fb, 0, 0, 64, 48)
            shown.client.answer()
            shown.client.send("fsync", shown.fd)
            for _ in range(self.random.randrange(6)):
                connection.paint(connection.receive())
                if shown.client.answered(0):
                    break
            connection.close()
            shown.client.answer()
            pixels = shown.noise(self.random)
            shown.dirty()
            paint = self.painter()
            shown.client.do("fsync", shown.fd)
            self.assertEqual(paint.connection.picture(), pixels)
        self.assertGreaterEqual(int(self.status("outages")), 16)
        paint.stop()

    def test_set_crtc_waits_for_the_driver(self):
        self.listen()
        connection = self.agent.accept()
        connection.topology()
        connection.paint(connection.receive())
        client = self.client()
        client.send("show", "/scheme/display/1", 64, 48)
        while not (isinstance(message := connection.receive(), wire.Commit) and message.modes):
            connection.paint(message)
        got = 0
        while got < 4 * 64 * 48:
            pixels = connection.receive()
            if isinstance(pixels, wire.Pixels):
                got += len(pixels.tail)
        self.assertFalse(client.answered(0.3), "SETCRTC did not wait")
        connection.send(wire.CommitDone(id=message.id, crtc=0, result=-28, time_ns=0))
        self.refused(28, client.answer)
        connection.close()

    def test_without_agent(self):
        """Everything works: one monitor of --mode's size."""
        client = self.client()
        shown = hosted.Shown(client, "/scheme/display.bridge/1", 1280, 800, self.folder)
        answer = client.call(shown.fd, GETCONNECTOR, u32(1, 0, 0, 0, shown.connector) + bytes(28) + bytes(68))
        self.assertEqual(struct.unpack_from("<HHHHH H", answer, 48 + 4)[0:6:5], (1280, 800))
        self.assertEqual(struct.unpack_from("<I", answer, 28)[0], 1)  # connected
        shown.dirty()
        client.do("fsync", shown.fd)
        crtc = client.call(shown.fd, GETCRTC, u32(0, FIRST_CRTC) + bytes(88))
        self.assertEqual(struct.unpack_from("<I", crtc, 8)[0], shown.fb)

    def test_state_file(self):
        """The topology of last time is there before the agent is."""
        self.bridge.terminate()
        self.bridge.wait()
        self.bridge_options = ("--state-file", str(self.folder / "state"), "--mode", "800x600")
        self.bridge = self.start_bridge()
        client = self.client()
        fd = client.open("/scheme/display/1")

        def connectors():
            return struct.unpack("<8I", client.call(fd, GETRESOURCES, bytes(32)))[2]

        self.assertEqual(connectors(), 1)
        paint = self.painter(names=["A-1", "B-1", "C-1"])
        self.eventually(lambda: connectors() == 3, "the topology is taken")
        paint.stop()
        client.kill()
        self.bridge.terminate()
        self.bridge.wait()
        self.agent.close()
        self.agent = None
        self.bridge = self.start_bridge()
        client = self.client()
        fd = client.open("/scheme/display/1")
        self.assertEqual(connectors(), 3)
        # A torn file is said and left aside.
        client.kill()
        self.bridge.terminate()
        self.bridge.wait()
        state = bytearray((self.folder / "state").read_bytes())
        state[len(state) // 2] ^= 1
        (self.folder / "state").write_bytes(state)
        self.bridge = self.start_bridge()
        self.assertIn("torn", self.log())
        client = self.client()
        fd = client.open("/scheme/display/1")
        self.assertEqual(connectors(), 1)

    def test_parked_requests_are_answered_at_the_end(self):
        """Callers of a dead daemon hang for ever: they must be answered before it exits."""
        self.listen()
        connection = self.agent.accept()
        connection.topology()
        connection.paint(connection.receive())
        client = self.client()
        client.send("show", "/scheme/display/1", 64, 48)
        while not (isinstance(message := connection.receive(), wire.Commit) and message.modes):
            connection.paint(message)
        self.bridge.send_signal(signal.SIGTERM)
        self.assertTrue(client.answered(hosted.TIMEOUT_S), "the caller hangs")
        self.assertEqual(self.bridge.wait(hosted.TIMEOUT_S), 0)
        connection.close()
        self.bridge = self.start_bridge()  # and the names can be taken again

    def test_a_dead_bridge_s_name_is_taken_over(self):
        self.bridge.kill()
        self.bridge.wait()
        self.bridge = self.start_bridge()
        self.client().open("/scheme/display/1")

    def test_a_living_bridge_s_name_is_not(self):
        result = subprocess.run([os.environ["DISPLAY_BRIDGE"], "--agent", f"unix:{self.address}"], env=self.environment, stderr=subprocess.PIPE,
                                text=True, timeout=hosted.TIMEOUT_S, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("another program serves the scheme 'display.bridge'", result.stderr)


class Words(unittest.TestCase):
    """What is said to a person."""

    def run_bridge(self, *arguments):
        return subprocess.run([os.environ["DISPLAY_BRIDGE"], *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              timeout=hosted.TIMEOUT_S)

    def test_help_and_version(self):
        result = self.run_bridge("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertLessEqual(result.stdout.count("\n"), 24)
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 80)
        for option in ("--agent", "--name", "--alias", "--mode", "--state-file", "--ready-fd", "--ready-timeout"):
            self.assertIn(option, result.stdout)
        self.assertRegex(self.run_bridge("--version").stdout, r"^display-bridge \d+\.\d+\.\d+\n$")

    def test_refusals(self):
        cases = (((), "--agent"), (("--colour",), "colour"), (("--agent", "nonsense"), "nonsense"), (("--agent", "unix:/x", "y"), "y"),
                 (("--agent", "unix:/x", "--mode", "axb"), "--mode"), (("--agent", "unix:/x", "--mode", "99999x1"), "--mode"),
                 (("--agent", "unix:/x", "--mode", "640x480x"), "--mode"), (("--agent", "unix:/x", "--ready-fd", "-1"), "--ready-fd"),
                 (("--agent", "unix:/x", "--ready-timeout", "soon"), "--ready-timeout"), (("--agent", "unix:/x", "--name", "a/b"), "--name"))
        for arguments, words in cases:
            with self.subTest(arguments):
                result = self.run_bridge(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertIn(words, result.stderr)
                self.assertLessEqual(result.stderr.count("\n"), 2)


if __name__ == "__main__":
    unittest.main() if "-v" in sys.argv else tap.main()
