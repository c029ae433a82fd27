#!/usr/bin/env python3
"""The C and the Python codec take and refuse the same payloads, and make the same bytes of them.

Usage: round_trip_test.py BUILD/proto WIRE_ECHO
"""

import struct
import subprocess
import sys
import unittest
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parent
sys.path[:0] = [sys.argv.pop(1), str(TESTS), str(TESTS.parents[1] / "tests/support")]
WIRE_ECHO = sys.argv.pop(1)

import bridge_wire as wire  # noqa: E402
import tap  # noqa: E402
import vectors  # noqa: E402

EBADMSG, ENOENT = 74, 2
TAIL_TRIED = 300


class Echo:
    """The C codec: a payload goes in, result and payload come out."""

    def __init__(self):
        self.process = subprocess.Popen([WIRE_ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, opcode, payload):
        self.process.stdin.write(struct.pack("<HI", opcode, len(payload)) + payload)
        self.process.stdin.flush()
        head = self.process.stdout.read(4)
        if len(head) != 4:
            raise AssertionError("the C codec died")
        result, = struct.unpack("<i", head)
        return result, self.process.stdout.read(result) if result > 0 else b""

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        return status


def values(codec):
    """Values that a field can have, edges included."""
    if isinstance(codec, wire._Number):
        if codec.values is not None:
            return some.sampled_from(list(codec.values))
        return some.one_of(some.just(codec.low), some.just(codec.high), some.integers(codec.low, codec.high))
    if isinstance(codec, wire._String):
        # A character has four octets at most; a run of one kind reaches the limit.
        letters = some.characters(blacklist_characters="\0", blacklist_categories=["Cs"])
        return some.one_of(some.text(letters, max_size=codec.most // 4), some.just("x" * codec.most))
    if isinstance(codec, wire._Bytes):
        return some.one_of(some.binary(max_size=min(codec.most, 64)), some.just(bytes(codec.most)))
    if isinstance(codec, wire._Array):
        return some.lists(values(codec.element), max_size=min(codec.most, 4))
    return some.builds(codec.kind, **{name: values(inner) for name, inner in codec.kind.FIELDS})


def messages_of(kind):
    fields = {name: values(codec) for name, codec in kind.FIELDS}
    if kind.TAIL_MAX is not None:
        fields["tail"] = some.binary(max_size=TAIL_TRIED)
    return some.builds(kind, **fields)


MESSAGES = some.sampled_from(list(wire.MESSAGES.values())).flatmap(messages_of)


@some.composite
def mutated(draw):
    """A good message's opcode and payload with a few places changed, cut or extended."""
    message = draw(some.one_of(MESSAGES, some.sampled_from(vectors.MESSAGES)))
    payload = bytearray(message.encode())
    for _ in range(draw(some.integers(1, 4))):
        kind = draw(some.sampled_from(["set", "set", "set", "cut", "extend", "remove"]))
        at = draw(some.integers(0, max(len(payload) - 1, 0)))
        if kind == "set" and payload:
            payload[at] = draw(some.sampled_from([0, 1, 2, 0x7F, 0x80, 0xC2, 0xED, 0xFF])
                               | some.integers(0, 255))
        elif kind == "cut":
            del payload[at:]
        elif kind == "extend":
            payload[at:at] = draw(some.binary(max_size=5))
        elif payload:
            del payload[at]
    return message.OPCODE, bytes(payload)


TEXTS = [b"\0", b"a\0", b"\x80", b"\xc0\x80", b"\xc2", b"\xc2\x41", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\x9f\xbf", b"\xf0\x8f\xbf\xbf",
         b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff", b"\x1b[2J"]


def raw_edges(codec, good):
    """Encodings of one field on both sides of each of its bounds; GOOD is an encoding that passes."""
    if isinstance(codec, wire._Number):
        size = codec.packer.size
        span = 1 << (8 * size)
        around = [codec.low - 1, codec.low, codec.high, codec.high + 1]
        if codec.values is not None:
            around = [value + step for value in codec.values for step in (-1, 0, 1)]
        yield from ((value % span).to_bytes(size, "little") for value in around)
    elif isinstance(codec, wire._String):
        yield from (struct.pack("<H", count) + b"x" * count for count in (0, codec.most, codec.most + 1))
        yield from (struct.pack("<H", len(text)) + text for text in TEXTS)
    elif isinstance(codec, wire._Bytes):
        yield from (struct.pack("<I", count) + bytes(count) for count in (0, codec.most, codec.most + 1))
        yield struct.pack("<I", 0xFFFFFFFF)
    elif isinstance(codec, wire._Array):
        element = codec.element.put(good[0]) if good else None
        if element is None:
            kind = getattr(codec.element, "kind", None)
            element = codec.element.put(next((one for one in ELEMENTS if isinstance(one, kind)), 0) if kind else 0)
        yield from (struct.pack("<H", count) + element * count for count in (0, codec.most, codec.most + 1))
        yield struct.pack("<H", 0xFFFF)
        if isinstance(codec.element, wire._Struct):
            for raw in fields_with_edges(codec.element.kind, next(one for one in ELEMENTS if isinstance(one, codec.element.kind))):
                yield struct.pack("<H", 1) + raw


ELEMENTS = [vectors.mode(), wire.Rect(0, 0, 1, 1)]


def fields_with_edges(kind, good):
    """Encodings of a whole message or struct with one field at an edge."""
    parts = [codec.put(getattr(good, name)) for name, codec in kind.FIELDS]
    for place, (name, codec) in enumerate(kind.FIELDS):
        for raw in raw_edges(codec, getattr(good, name)):
            yield b"".join(parts[:place] + [raw] + parts[place + 1:])


def tries(count):
    return settings(max_examples=count, deadline=None, database=None, print_blob=True,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


class RoundTrip(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.echo = Echo()

    @classmethod
    def tearDownClass(cls):
        assert cls.echo.close() == 0, "the C codec did not end well"

    def agree(self, opcode, payload):
        """Both sides on one payload: the same answer, and if it is yes the same bytes. Returns whether it is yes."""
        try:
            encoded = wire.decode(opcode, payload).encode()
        except wire.WireError as error:
            encoded, refusal = None, error
        result, again = self.echo.ask(opcode, payload)
        if encoded is None:
            expected = -EBADMSG if opcode in wire.MESSAGES else -ENOENT
            self.assertEqual(result, expected, f"Python refuses: {refusal}")
            return False
        self.assertEqual(result, len(payload), "Python takes it")
        self.assertEqual(again, payload)
        self.assertEqual(encoded, payload)
        return True

    @tries(600)
    @given(MESSAGES)
    def test_messages_survive_both_codecs(self, message):
        payload = message.encode()
        self.assertEqual(type(message).decode(payload), message)
        self.assertTrue(self.agree(message.OPCODE, payload))

    @tries(1500)
    @given(mutated())
    def test_mutations_are_judged_alike(self, case):
        self.agree(*case)

    @tries(300)
    @given(some.sampled_from([*wire.MESSAGES, 0, 3, 0xFFFF]), some.binary(max_size=64))
    def test_noise_is_judged_alike(self, opcode, payload):
        self.agree(opcode, payload)

    def test_every_cut_of_every_vector(self):
        for message in vectors.MESSAGES:
            payload = message.encode()
            for length in range(len(payload) + 1):
                self.agree(message.OPCODE, payload[:length])
            self.assertEqual(self.agree(message.OPCODE, payload + b"\0"), message.TAIL_MAX is not None)

    def test_every_field_at_its_bounds(self):
        taken, refused = 0, 0
        for message in vectors.MESSAGES:
            for payload in fields_with_edges(type(message), message):
                if self.agree(message.OPCODE, payload):
                    taken += 1
                else:
                    refused += 1
        print(f"# {taken} taken, {refused} refused")
        self.assertGreater(min(taken, refused), 50)

    def test_tail_at_its_limit(self):
        for kind in wire.MESSAGES.values():
            if kind.TAIL_MAX is None:
                continue
            message = next(one for one in vectors.MESSAGES if isinstance(one, kind))
            head = message.encode()[:-len(message.tail)]
            self.assertTrue(self.agree(kind.OPCODE, head + bytes(kind.TAIL_MAX)))
            self.assertFalse(self.agree(kind.OPCODE, head + bytes(kind.TAIL_MAX + 1)))


class Encode(unittest.TestCase):
    """Values that Python refuses to send."""

    def refused(self, message):
        with self.assertRaises(wire.WireError):
            message.encode()

    def test_range(self):
        self.refused(wire.Crtc(index=16))
        self.refused(wire.Crtc(index=-1))
        self.refused(wire.Commit(damage=[wire.Rect(0, 0, 0, 1)]))

    def test_enum(self):
        self.refused(wire.Error(fault=99))

    def test_lengths(self):
        self.refused(wire.Error(fault=1, detail="x" * 201))
        self.refused(wire.Commit(connectors=[0] * 17))
        self.refused(wire.Connector(connection=1, edid=bytes(4097)))
        self.refused(wire.Pixels(tail=bytes(wire.Pixels.TAIL_MAX + 1)))

    def test_text(self):
        self.refused(wire.Error(fault=1, detail="a\0b"))
        self.refused(wire.Error(fault=1, detail="\ud800"))
        self.refused(wire.Error(fault=1, detail=b"bytes"))

    def test_kind(self):
        self.refused(wire.Commit(damage=[(0, 0, 1, 1)]))
        self.refused(wire.Sync(id="1"))


if __name__ == "__main__":
    tap.main()
