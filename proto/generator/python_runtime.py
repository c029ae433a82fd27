import enum
import struct
from dataclasses import dataclass, field

FRAME_MAX = 266240
HEADER = struct.Struct("<IHHI")  # length, opcode, flags, serial


class WireError(Exception):
    """A payload that is no such message, or a value that a message cannot carry."""


class _Number:
    """An integer with its bounds, perhaps of an enum."""

    def __init__(self, code, low, high, values=None):
        self.packer = struct.Struct("<" + code)
        self.low, self.high, self.values = low, high, values

    def check(self, value):
        if not isinstance(value, int):
            raise WireError(f"{value!r} is not an integer")
        if self.values is not None:
            try:
                return self.values(value)
            except ValueError:
                raise WireError(f"{value} is not in {self.values.__name__}") from None
        if not self.low <= value <= self.high:
            raise WireError(f"{value} is not in {self.low}..{self.high}")
        return value

    def put(self, value):
        return self.packer.pack(self.check(value))

    def get(self, payload, at):
        _room(payload, at, self.packer.size)
        return self.check(self.packer.unpack_from(payload, at)[0]), at + self.packer.size


class _String:
    """UTF-8 with a u16 length in front, without NUL; the bound is in octets."""

    def __init__(self, most):
        self.most = most

    def put(self, value):
        try:
            data = value.encode("utf-8")
        except (AttributeError, UnicodeEncodeError):
            raise WireError(f"{value!r} is not a text") from None
        if len(data) > self.most or b"\0" in data:
            raise WireError(f"{value!r} is longer than {self.most} octets or has a NUL")
        return _U16.put(len(data)) + data

    def get(self, payload, at):
        count, at = _U16.get(payload, at)
        _room(payload, at, count)
        data = bytes(payload[at:at + count])
        if count > self.most or b"\0" in data:
            raise WireError(f"a string is longer than {self.most} octets or has a NUL")
        try:
            return data.decode("utf-8"), at + count
        except UnicodeDecodeError:
            raise WireError("a string is not UTF-8") from None


class _Bytes:
    """Octets with a u32 length in front."""

    def __init__(self, most):
        self.most = most

    def put(self, value):
        if len(value) > self.most:
            raise WireError(f"{len(value)} octets, at most {self.most}")
        return _U32.put(len(value)) + bytes(value)

    def get(self, payload, at):
        count, at = _U32.get(payload, at)
        if count > self.most:
            raise WireError(f"{count} octets, at most {self.most}")
        _room(payload, at, count)
        return bytes(payload[at:at + count]), at + count


class _Array:
    """Elements with a u16 count in front."""

    def __init__(self, element, most):
        self.element, self.most = element, most

    def put(self, value):
        if len(value) > self.most:
            raise WireError(f"{len(value)} elements, at most {self.most}")
        return _U16.put(len(value)) + b"".join(self.element.put(one) for one in value)

    def get(self, payload, at):
        count, at = _U16.get(payload, at)
        if count > self.most:
            raise WireError(f"{count} elements, at most {self.most}")
        values = []
        for _ in range(count):
            value, at = self.element.get(payload, at)
            values.append(value)
        return values, at


class _Struct:
    """An element that is a declared struct."""

    def __init__(self, kind):
        self.kind = kind

    def put(self, value):
        if not isinstance(value, self.kind):
            raise WireError(f"{value!r} is no {self.kind.__name__}")
        return _put_fields(value)

    def get(self, payload, at):
        values, at = _get_fields(self.kind, payload, at)
        return self.kind(**values), at


_U16 = _Number("H", 0, 0xFFFF)
_U32 = _Number("I", 0, 0xFFFFFFFF)


def _room(payload, at, count):
    if len(payload) - at < count:
        raise WireError(f"too short: {count} octets are missing at {at} of {len(payload)}")


def _put_fields(message):
    parts = []
    for name, codec in message.FIELDS:
        try:
            parts.append(codec.put(getattr(message, name)))
        except WireError as error:
            raise WireError(f"{type(message).__name__}.{name}: {error}") from None
    return b"".join(parts)


def _get_fields(kind, payload, at):
    values = {}
    for name, codec in kind.FIELDS:
        try:
            values[name], at = codec.get(payload, at)
        except WireError as error:
            raise WireError(f"{kind.__name__}.{name}: {error}") from None
    return values, at


class Message:
    """What all messages can do."""

    FIELDS = ()
    TAIL_MAX = None

    def encode(self):
        """The payload, tail included."""
        payload = _put_fields(self)
        if self.TAIL_MAX is not None:
            if len(self.tail) > self.TAIL_MAX:
                raise WireError(f"{type(self).__name__}: a tail of {len(self.tail)} octets, at most {self.TAIL_MAX}")
            payload += bytes(self.tail)
        return payload

    @classmethod
    def decode(cls, payload):
        """The message that PAYLOAD is, tail included; raises WireError."""
        values, at = _get_fields(cls, payload, 0)
        left = len(payload) - at
        if cls.TAIL_MAX is not None and left <= cls.TAIL_MAX:
            values["tail"] = bytes(payload[at:])
        elif left > 0:
            raise WireError(f"{cls.__name__}: {left} octets too many")
        return cls(**values)


def decode(opcode, payload):
    """The message of a frame; raises WireError."""
    if opcode not in MESSAGES:
        raise WireError(f"unknown opcode {opcode}")
    return MESSAGES[opcode].decode(payload)


def frame(message, serial=0, flags=0):
    """The whole frame of a message."""
    payload = message.encode()
    return HEADER.pack(len(payload), message.OPCODE, flags, serial) + payload


def read_exactly(stream, count):
    """COUNT octets of a connected socket; raises EOFError when it ends before."""
    parts = []
    while count > 0:
        part = stream.recv(min(count, 1 << 20))
        if not part:
            raise EOFError("the peer closed the connection")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_frame(stream):
    """The next frame of a connected socket: (message, serial, flags); raises WireError or EOFError."""
    length, opcode, flags, serial = HEADER.unpack(read_exactly(stream, HEADER.size))
    if length > FRAME_MAX:
        raise WireError(f"a frame of {length} octets, at most {FRAME_MAX}")
    return decode(opcode, read_exactly(stream, length)), serial, flags
