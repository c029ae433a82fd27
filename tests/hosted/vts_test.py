#!/usr/bin/env python3
"""Two Orbital-style clients on two VTs, switched by inputd of both generations: the monitor has the active one's picture, pixel for pixel."""

import os
import subprocess
import sys
import unittest

import hosted

import tap
from daemon import start_ready
from picture import describe_difference, differing_pixels, load
from PIL import Image


class Orbital(hosted.Client):
    """The Orbital-style client answers as drm_client does."""

    def __init__(self, environment, *options):  # pylint: disable=super-init-not-called
        self.process = subprocess.Popen([os.environ["ORBITAL"], *options], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)


class Vts:
    """The tests; a class below names the generation."""

    generation = None
    bridge_options = ("--mode", "320x200")

    def start_bridge(self):
        with open(self.folder / "inputd.log", "ab") as log:
            self.inputd = start_ready([os.environ["HOSTED_INPUTD"], "--generation", self.generation], hosted.TIMEOUT_S,
                                      env=self.environment, stderr=log)
        self.addCleanup(self.end_inputd)
        bridge = super().start_bridge()
        self.bridge = bridge
        expected = "calls" if self.generation == "new" else "read"
        self.eventually(lambda: self.status("inputd") == expected, "the handshake with inputd")
        return bridge

    def end_inputd(self):
        self.assertIsNone(self.inputd.poll(), "inputd died: a display that errs ends it on Redox, too")
        self.inputd.terminate()
        self.inputd.wait(hosted.TIMEOUT_S)

    def orbital(self):
        client = Orbital(self.environment)
        self.clients.append(client)
        client.do("hide")  # the agent here does not compose cursors
        return client

    def assert_shown(self, client):
        client.do("fsync")
        client.do("save", self.folder / "expected.png")
        expected = load(self.folder / "expected.png")
        width, height = self.paint.connection.screens[0]["size"]
        shown = Image.frombuffer("RGB", (width, height), self.paint.connection.picture(), "raw", "BGRX", 4 * width, 1)
        self.assertEqual(differing_pixels(expected, shown), 0, describe_difference(expected, shown))

    def seed_word(self):
        return self.random.randrange(1 << 31)

    def test_switching(self):
        self.paint = self.painter(modes=((320, 200),))
        first, second = self.orbital(), self.orbital()
        first.do("activate")
        first.do("noise", self.seed_word())
        self.assert_shown(first)
        second.do("noise", self.seed_word())
        self.assert_shown(first)
        for _ in range(5):
            second.do("activate")
            self.assert_shown(second)
            first.do("rect", 10, 10, 100, 50, self.seed_word())
            second.do("rect", 50, 60, 100, 50, self.seed_word())
            self.assert_shown(second)
            first.do("activate")
            self.assert_shown(first)
        self.assertEqual(int(self.status("vts")), 2)
        self.paint.stop()

    def test_agent_comes_back_to_the_other_vt(self):
        self.paint = self.painter(modes=((320, 200),))
        first, second = self.orbital(), self.orbital()
        first.do("noise", self.seed_word())
        second.do("noise", self.seed_word())
        first.do("activate")
        self.assert_shown(first)
        self.paint.stop()
        second.do("activate")
        second.do("rect", 0, 0, 300, 100, self.seed_word())
        self.paint = self.painter(modes=((320, 200),))
        self.assert_shown(second)
        self.paint.stop()

    def test_resize(self):
        """The monitor has another mode: Orbital notices at the next redraw."""
        self.paint = self.painter(modes=((320, 200),))
        first = self.orbital()
        first.do("noise", self.seed_word())
        self.assert_shown(first)
        self.paint.connection.topology(modes=((400, 240),))
        self.eventually(lambda: self.status("connector 128").count("400x240") == 1, "the bridge has the other mode")
        first.do("noise", self.seed_word())
        first.do("noise", self.seed_word())
        self.assertEqual(first.do("size"), ["400x240"])
        self.assert_shown(first)
        first.do("fork")
        self.paint.stop()


class OldInputd(Vts, hosted.Case):
    generation = "old"


class NewInputd(Vts, hosted.Case):
    generation = "new"


if __name__ == "__main__":
    unittest.main() if "-v" in sys.argv else tap.main()
