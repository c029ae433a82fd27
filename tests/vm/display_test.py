#!/usr/bin/env python3
"""The whole display path with a real Linux kernel: Redox-style client, display-bridge, vsock device, guest-agent, DRM device of a VM.

Pictures are seeded noise, new each run. A screendump is taken once, after fsync; there is no second try. One VM serves all tests of a device.
"""

import os
import random
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import tap  # noqa: E402
from machine import Client, Machine, MachineError, configuration, make_image  # noqa: E402
from picture import describe_difference, differing_pixels, load  # noqa: E402

BUILD = os.environ.get("BRIDGE_BUILD", str(ROOT / "build"))
SEED = int(os.environ.get("TEST_SEED", random.SystemRandom().randrange(1 << 31)))


class Display:
    """The tests; a class below names the device."""

    device = None
    inputd = None
    agent_options = None

    @classmethod
    def setUpClass(cls):
        print(f"# {cls.device}: seed {SEED}", flush=True)
        cls.random = random.Random(SEED)
        make_image(BUILD)
        cls.machine = Machine(BUILD, configuration(cls.device, agent_options=cls.agent_options), cls.inputd)
        cls.machine.__enter__()
        cls.qmp = cls.machine.qmp()

    @classmethod
    def tearDownClass(cls):
        cls.qmp.close()
        status = cls.machine.stop()
        if status != 0:
            raise MachineError(f"vm-launch ended with {status}:\n{cls.machine.log()}")

    def seed(self):
        return self.random.randrange(1 << 31)

    def client(self):
        """As Orbital it asks for its VT when it starts."""
        client = Client(BUILD, self.machine.environment)
        client.do("wait-active")
        return client

    def screen(self):
        return self.qmp.screendump(self.machine.folder / "screen.png")

    def expected(self, client):
        path = self.machine.folder / "expected.png"
        client.do("save", path)
        return load(path)

    def assert_shown(self, client):
        """The monitor equals what the client believes is on it, pixel for pixel."""
        client.do("fsync")
        shown = self.screen()
        expected = self.expected(client)
        self.assertEqual(differing_pixels(expected, shown), 0, describe_difference(expected, shown))

    def test_full_picture_in_two_modes(self):
        with self.client() as client:
            sizes = set()
            for mode in (0, 1):
                client.do("mode", mode)
                sizes.add(client.do("size"))
                client.do("noise", self.seed())
                self.assert_shown(client)
            self.assertEqual(len(sizes), 2, "the two modes have the same size")

    def test_partial_updates(self):
        with self.client() as client:
            client.do("noise", self.seed())
            width, height = (int(word) for word in client.do("size").split("x"))
            for _ in range(20):
                w, h = self.random.randint(1, 200), self.random.randint(1, 200)
                client.do("rect", self.random.randint(0, width - w), self.random.randint(0, height - h), w, h, self.seed())
            self.assert_shown(client)

    def test_a_single_wrong_pixel_is_seen(self):
        """The comparison can fail: a pixel changed in the buffer without DIRTYFB is missing on the monitor."""
        with self.client() as client:
            client.do("noise", self.seed())
            self.assert_shown(client)
            client.do("poke", 17, 23)
            client.do("fsync")
            self.assertEqual(differing_pixels(self.expected(client), self.screen()), 1)

    def test_cursor(self):
        with self.client() as client:
            client.do("noise", self.seed())
            width, height = (int(word) for word in client.do("size").split("x"))
            for x, y in ((100, 100), (120, 110), (-20, -15), (width - 10, height - 10)):
                client.do("cursor", x, y)
                self.assert_shown(client)
            client.do("cursor", 200, 200)
            client.do("rect", 180, 180, 100, 100, self.seed())
            self.assert_shown(client)
            client.do("hide")
            self.assert_shown(client)

    def test_two_vts(self):
        """A VT that is not active draws unseen; each has its own picture and mode when it is active again."""
        with self.client() as first:
            first.do("noise", self.seed())
            self.assert_shown(first)
            with self.client() as second:
                second.do("mode", 1)
                second.do("noise", self.seed())
                second.do("wait-active")
                self.assert_shown(second)
                first.do("rect", 10, 10, 50, 50, self.seed())
                first.do("fsync")
                self.assert_shown(second)
                first.do("activate")
                self.assert_shown(first)
                second.do("rect", 10, 10, 50, 50, self.seed())
                second.do("fsync")
                self.assert_shown(first)
                second.do("activate")
                self.assert_shown(second)

    def test_fork_with_a_mapped_buffer(self):
        with self.client() as client:
            client.do("noise", self.seed())
            client.do("fork")
            client.do("rect", 5, 5, 50, 50, self.seed())
            self.assert_shown(client)

    def draw_until_outage(self, client, outages):
        """Draws while the agent is dying and dead; the client must not see an error."""
        while True:
            client.do("draw", self.random.randint(20, 60), self.seed())
            if int(self.machine.status("outages")) > outages:
                return

    def test_agent_killed_under_a_drawing_client(self):
        """Twice at a random moment. That there was no agent for a while is what the bridge itself counted, not what we hope."""
        with self.client() as client:
            client.do("noise", self.seed())
            self.assert_shown(client)
            for _ in range(2):
                before = self.screen()
                ups = self.machine.log().count("is there")
                outages = int(self.machine.status("outages"))
                client.send("draw", self.random.randint(1, 200), self.seed())
                self.machine.shell("kill -9 $(pidof guest-agent)")
                client.answer()
                self.draw_until_outage(client, outages)
                self.machine.wait_log("is there", ups + 1)
                self.assert_shown(client)  # nothing is drawn again for that
                self.assertGreater(differing_pixels(before, self.screen()), 0, "the picture is the one of before")
                self.assertEqual(int(self.machine.status("outages")), outages + 1)
                outage_ms = int(self.machine.status("outage_last_ms"))
                self.assertGreater(outage_ms, 0)
                print(f"# {self.device}: {outage_ms} ms without agent", flush=True)

    def agent_ends(self):
        """The agent ends in peace; returns what it says in its own log about the session: commits, bytes of pixels."""
        pattern = r"guest-agent\[\d+\].* session ends after (\d+) commits with (\d+) bytes of pixels"
        said = len(re.findall(pattern, self.machine.log()))
        ups = self.machine.log().count("is there")
        self.machine.shell("kill -TERM $(pidof guest-agent)")
        self.machine.wait_log("is there", ups + 1)
        self.machine.wait_log("session ends after", said + 1)
        sessions = re.findall(pattern, self.machine.log())
        self.assertEqual(len(sessions), said + 1)
        return tuple(int(word) for word in sessions[-1])

    def test_agent_s_own_log_counts_this_client_s_pictures(self):
        """What is on the monitor came from this client through the agent: byte for byte as many pixels as it drew."""
        with self.client() as client:
            client.do("noise", self.seed())
            self.assert_shown(client)
            self.agent_ends()
            client.do("fsync")
            width, height = (int(word) for word in client.do("size").split("x"))
            drawn = 4 * width * height  # the picture that a new agent gets
            pictures = self.random.randint(2, 5)
            for _ in range(pictures):
                w, h = self.random.randint(1, width), self.random.randint(1, height)
                client.do("rect", 0, 0, w, h, self.seed())
                client.do("fsync")
                drawn += 4 * w * h
            self.assert_shown(client)
            commits, pixel_bytes = self.agent_ends()
            self.assertEqual(pixel_bytes, drawn)
            self.assertGreaterEqual(commits, pictures + 1)


class Bochs(Display, unittest.TestCase):
    """No cursor plane: the agent composes the cursor."""

    device = "bochs"
    inputd = "new"


class VirtioGpu(Display, unittest.TestCase):
    """Has a cursor plane, which is not in a screendump: the agent is told to do without."""

    device = "virtio-gpu"
    inputd = "old"
    agent_options = "--software-cursor"


if __name__ == "__main__":
    tap.main()
