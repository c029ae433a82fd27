"""Reads a protocol's XML and checks it: what comes out can be generated without further questions.

Every fault is a DeclarationError with the line of the element that has it.
"""

import re
from dataclasses import dataclass, field
from typing import Optional
from xml.parsers import expat

FRAME_MAX = 266240  # LIMIT_FRAME of common/limits.h: largest payload of a frame
LENGTH_BYTES = {"string": 2, "array": 2, "bytes": 4}
ENUM_MAX = 0x7FFFFFFF  # what a C11 enumerator can hold
ROLE_MAX = 31  # roles are also bits of a u32
STATES = ("any", "greeting", "up")


@dataclass(frozen=True)
class Number:
    """An integer type of the wire."""

    name: str
    octets: int
    signed: bool

    @property
    def low(self):
        return -(1 << (8 * self.octets - 1)) if self.signed else 0

    @property
    def high(self):
        return (1 << (8 * self.octets - (1 if self.signed else 0))) - 1


NUMBERS = {number.name: number for number in (
    Number("u8", 1, False), Number("u16", 2, False), Number("u32", 4, False), Number("u64", 8, False),
    Number("i32", 4, True))}

# Elements: attributes that must be there, attributes that may be, children.
ELEMENTS = {
    "protocol": ({"name", "version"}, set(), {"description", "constant", "enum", "struct", "message"}),
    "description": ({"summary"}, set(), set()),
    "constant": ({"name", "value"}, {"summary"}, set()),
    "enum": ({"name"}, {"summary"}, {"entry"}),
    "entry": ({"name", "value"}, {"summary"}, set()),
    "struct": ({"name"}, {"summary"}, {"arg"}),
    "message": ({"name", "opcode", "from"}, {"state"}, {"description", "arg", "tail"}),
    "arg": ({"name", "type"}, {"of", "enum", "max", "minval", "maxval", "unit", "summary"}, set()),
    "tail": ({"max"}, {"unit", "summary"}, set()),
}
# What an arg may say besides its name, type, unit and summary.
ARG_ATTRIBUTES = {"string": {"max"}, "bytes": {"max"}, "array": {"of", "max"}}
NUMBER_ATTRIBUTES = {"enum", "minval", "maxval"}

KEYWORDS = set("""auto bool break case char const continue default do double else enum extern false float for goto if
    inline int long register restrict return short signed sizeof static struct switch true typedef union unsigned void
    volatile while and as assert async await class def del elif except finally from global import in is lambda none
    nonlocal not or pass raise try with yield self tail encode decode opcode""".split())
# Names that the outputs make on their own.
RESERVED = {"opcode", "message_info", "message", "messages", "message_find", "message_count", "dump", "version_number",
            "reencode", "state", "wire", "wire_error", "reader", "writer"}


class DeclarationError(Exception):
    def __init__(self, line, text):
        super().__init__(text)
        self.line = line
        self.text = text


@dataclass
class Arg:
    line: int
    name: str
    type: str
    summary: str = ""
    unit: str = ""
    of: Optional[str] = None  # element of an array: number or struct
    enum: Optional[str] = None
    max: int = 0  # octets of a string or bytes, elements of an array
    minval: Optional[int] = None  # None where the type says it
    maxval: Optional[int] = None

    @property
    def number(self):
        return NUMBERS.get(self.type)


@dataclass
class Entry:
    line: int
    name: str
    value: int
    summary: str = ""


@dataclass
class Enum:
    line: int
    name: str
    summary: str = ""
    entries: list = field(default_factory=list)


@dataclass
class Constant:
    line: int
    name: str
    value: int
    summary: str = ""


@dataclass
class Struct:
    line: int
    name: str
    summary: str = ""
    args: list = field(default_factory=list)
    min: int = 0  # octets
    max: int = 0


@dataclass
class Tail:
    line: int
    max: int
    unit: str = ""
    summary: str = ""


@dataclass
class Message(Struct):
    opcode: int = 0
    senders: tuple = ()  # names of roles; empty: all
    state: str = "up"
    text: str = ""
    tail: Optional[Tail] = None

    @property
    def frame_max(self):
        return self.max + (self.tail.max if self.tail else 0)


@dataclass
class Protocol:
    line: int
    name: str
    version: int
    summary: str = ""
    text: str = ""
    constants: dict = field(default_factory=dict)
    enums: dict = field(default_factory=dict)
    structs: dict = field(default_factory=dict)
    messages: dict = field(default_factory=dict)


@dataclass
class Element:
    line: int
    name: str
    attributes: dict
    children: list = field(default_factory=list)
    text: str = ""


def read_tree(data):
    """The elements of an XML document, each with the line of its start tag."""
    parser = expat.ParserCreate()
    stack = [Element(1, "document", {})]

    def start(name, attributes):
        element = Element(parser.CurrentLineNumber, name, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def text(characters):
        stack[-1].text += characters

    def entity(name, *_):
        raise DeclarationError(parser.CurrentLineNumber, f"entity '{name}': entities are not for declarations")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: stack.pop()
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DeclarationError(error.lineno, expat.errors.messages[error.code]) from None
    return stack[0].children[0]


def check_tree(element, parent=None):
    """Known elements in known places with known attributes; text only in descriptions."""
    if element.name not in ELEMENTS:
        raise DeclarationError(element.line, f"unknown element <{element.name}>")
    if parent is None and element.name != "protocol":
        raise DeclarationError(element.line, f"the outermost element is <{element.name}>, not <protocol>")
    if parent is not None and element.name not in ELEMENTS[parent.name][2]:
        raise DeclarationError(element.line, f"<{element.name}> does not belong into <{parent.name}>")
    required, optional, _ = ELEMENTS[element.name]
    label = describe(element)
    for attribute in element.attributes:
        if attribute not in required | optional:
            raise DeclarationError(element.line, f"unknown attribute '{attribute}' of {label}")
    for attribute in sorted(required):
        if attribute not in element.attributes:
            raise DeclarationError(element.line, f"{label} lacks '{attribute}'")
    if element.name != "description" and element.text.strip():
        raise DeclarationError(element.line, f"text in {label}")
    for child in element.children:
        check_tree(child, element)


def describe(element):
    name = element.attributes.get("name")
    return f"<{element.name}>" if name is None else f"{element.name} '{name}'"


def number_of(element, attribute, low, high):
    """An attribute's integer in decimal or 0x notation, inside low..high."""
    text = element.attributes[attribute]
    if not re.fullmatch(r"-?(0|[1-9][0-9]*|0x[0-9a-fA-F]+)", text):
        raise DeclarationError(element.line, f"{attribute} '{text}' of {describe(element)} is not a number")
    value = int(text, 0)
    if not low <= value <= high:
        raise DeclarationError(element.line, f"{attribute} {text} of {describe(element)} is not in {low}..{high}")
    return value


def name_of(element):
    name = element.attributes["name"]
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise DeclarationError(element.line, f"name '{name}' is not in lower_case")
    if len(name) > 40:
        raise DeclarationError(element.line, f"name '{name}' is longer than 40 characters")
    if element.name != "entry" and name in KEYWORDS:
        raise DeclarationError(element.line, f"name '{name}' is a word of C, Python or the generated code")
    return name


def text_of(element):
    return " ".join(element.text.split())


class Builder:
    """Makes a Protocol of a checked tree."""

    def __init__(self, root):
        self.root = root
        self.names = {}  # of what is declared at the top, with its line
        self.protocol = Protocol(root.line, name_of(root), number_of(root, "version", 1, 0xFFFF))

    def build(self):
        by_name = {"constant": self.constant, "enum": self.enum, "struct": self.struct, "message": self.message}
        described = False
        for element in self.root.children:
            if element.name == "description":
                if described:
                    raise DeclarationError(element.line, "second <description> of the protocol")
                described = True
                self.protocol.summary = element.attributes["summary"]
                self.protocol.text = text_of(element)
            else:
                self.claim(element)
                by_name[element.name](element)
        Checker(self.protocol).check()
        return self.protocol

    def claim(self, element):
        """One name space: a message, a struct and an enum of one name would be one name in C or Python."""
        name = name_of(element)
        if name in RESERVED:
            raise DeclarationError(element.line, f"name '{name}' is one that the generated code uses itself")
        if name in self.names:
            raise DeclarationError(element.line, f"duplicate name '{name}', first on line {self.names[name]}")
        self.names[name] = element.line

    def constant(self, element):
        name = name_of(element)
        value = number_of(element, "value", 0, 0xFFFFFFFF)
        self.protocol.constants[name] = Constant(element.line, name, value, element.attributes.get("summary", ""))

    def enum(self, element):
        enum = Enum(element.line, name_of(element), element.attributes.get("summary", ""))
        for child in element.children:
            entry = Entry(child.line, name_of(child), number_of(child, "value", 0, ENUM_MAX),
                          child.attributes.get("summary", ""))
            for other in enum.entries:
                if other.name == entry.name or other.value == entry.value:
                    raise DeclarationError(child.line, f"entry '{entry.name}' repeats the name or value of "
                                                       f"'{other.name}' on line {other.line}")
            enum.entries.append(entry)
        if not enum.entries:
            raise DeclarationError(element.line, f"enum '{enum.name}' has no entry")
        self.protocol.enums[enum.name] = enum

    def struct(self, element):
        struct = Struct(element.line, name_of(element), element.attributes.get("summary", ""))
        for child in element.children:
            self.arg(struct, child)
        self.protocol.structs[struct.name] = struct

    def message(self, element):
        attributes = element.attributes
        message = Message(element.line, name_of(element), opcode=number_of(element, "opcode", 1, 0xFFFF),
                          senders=() if attributes["from"] == "both" else tuple(attributes["from"].split()),
                          state=attributes.get("state", "up"))
        if message.state not in STATES:
            raise DeclarationError(element.line, f"state '{message.state}' is none of {', '.join(STATES)}")
        if attributes["from"].strip() == "":
            raise DeclarationError(element.line, f"message '{message.name}' is from nobody")
        for number, child in enumerate(element.children):
            if child.name == "description":
                if number > 0:
                    raise DeclarationError(child.line, f"the <description> of '{message.name}' is not first")
                message.summary = child.attributes["summary"]
                message.text = text_of(child)
            elif message.tail is not None:
                raise DeclarationError(child.line, f"the <tail> of '{message.name}' is not last")
            elif child.name == "tail":
                message.tail = Tail(child.line, number_of(child, "max", 1, FRAME_MAX),
                                    child.attributes.get("unit", ""), child.attributes.get("summary", ""))
            else:
                self.arg(message, child)
        self.protocol.messages[message.name] = message

    def arg(self, owner, element):
        attributes = element.attributes
        arg = Arg(element.line, name_of(element), attributes["type"], attributes.get("summary", ""),
                  attributes.get("unit", ""), attributes.get("of"), attributes.get("enum"))
        if arg.number is None and arg.type not in ARG_ATTRIBUTES:
            raise DeclarationError(arg.line, f"unknown type '{arg.type}' for '{owner.name}.{arg.name}'")
        allowed = ARG_ATTRIBUTES.get(arg.type, NUMBER_ATTRIBUTES)
        for attribute in sorted(set(attributes) - {"name", "type", "unit", "summary"} - allowed):
            raise DeclarationError(arg.line, f"'{attribute}' is not for '{owner.name}.{arg.name}' of type {arg.type}")
        for attribute in sorted(allowed - NUMBER_ATTRIBUTES):
            if attribute not in attributes:
                raise DeclarationError(arg.line, f"'{owner.name}.{arg.name}' of type {arg.type} lacks '{attribute}'")
        if arg.number is None:
            arg.max = number_of(element, "max", 1, FRAME_MAX if arg.type == "bytes" else 0xFFFF)
        else:
            self.number_range(owner, arg, element)
        owner.args.append(arg)

    @staticmethod
    def number_range(owner, arg, element):
        low, high = arg.number.low, arg.number.high
        if "minval" in element.attributes:
            arg.minval = number_of(element, "minval", low, high)
        if "maxval" in element.attributes:
            arg.maxval = number_of(element, "maxval", low, high)
        if arg.enum is not None and (arg.minval, arg.maxval) != (None, None):
            raise DeclarationError(arg.line, f"'{owner.name}.{arg.name}' has both an enum and a range")
        if (low if arg.minval is None else arg.minval) > (high if arg.maxval is None else arg.maxval):
            raise DeclarationError(arg.line, f"minval of '{owner.name}.{arg.name}' is above its maxval")
        arg.minval = None if arg.minval == low else arg.minval
        arg.maxval = None if arg.maxval == high else arg.maxval


class Checker:
    """What can only be said when the whole declaration has been read."""

    def __init__(self, protocol):
        self.protocol = protocol

    def check(self):
        for struct in self.protocol.structs.values():
            self.check_struct(struct)
        opcodes = {}
        for message in self.protocol.messages.values():
            if message.opcode in opcodes:
                raise DeclarationError(message.line, f"duplicate opcode {message.opcode} of '{message.name}', "
                                                     f"already that of '{opcodes[message.opcode]}'")
            opcodes[message.opcode] = message.name
            self.check_senders(message)
            self.check_message(message)
        if not self.protocol.messages:
            raise DeclarationError(self.protocol.line, f"protocol '{self.protocol.name}' has no message")
        self.check_c_names()

    def check_struct(self, struct):
        for arg in struct.args:
            if arg.type in ("bytes", "array"):
                raise DeclarationError(arg.line, f"'{struct.name}.{arg.name}' is of type {arg.type}: "
                                                 "a struct holds numbers and strings only")
        self.check_args(struct)

    def check_message(self, message):
        self.check_args(message)
        if message.frame_max > FRAME_MAX:
            raise DeclarationError(message.line, f"message '{message.name}' can have {message.frame_max} bytes, "
                                                 f"a frame at most {FRAME_MAX}")

    def check_args(self, owner):
        if not owner.args:
            raise DeclarationError(owner.line, f"'{owner.name}' has no arg")
        members = {}
        for arg in owner.args:
            extra = {"bytes": ["_bytes"], "array": ["_count"]}.get(arg.type, [])
            for member in [arg.name] + [arg.name + suffix for suffix in extra]:
                if member in members:
                    raise DeclarationError(arg.line, f"duplicate arg '{owner.name}.{member}', "
                                                     f"first on line {members[member]}")
                members[member] = arg.line
            self.check_references(owner, arg)
        owner.min = sum(self.size(arg)[0] for arg in owner.args)
        owner.max = sum(self.size(arg)[1] for arg in owner.args)

    def check_references(self, owner, arg):
        if arg.enum is not None:
            if arg.enum not in self.protocol.enums:
                raise DeclarationError(arg.line, f"unknown enum '{arg.enum}' for '{owner.name}.{arg.name}'")
            for entry in self.protocol.enums[arg.enum].entries:
                if entry.value > arg.number.high:
                    raise DeclarationError(arg.line, f"'{owner.name}.{arg.name}' of type {arg.type} cannot hold "
                                                     f"'{arg.enum}.{entry.name}'")
        if arg.of is not None and arg.of not in NUMBERS and arg.of not in self.protocol.structs:
            raise DeclarationError(arg.line, f"unknown struct '{arg.of}' for '{owner.name}.{arg.name}'")

    def size(self, arg):
        """Least and most octets of an arg."""
        if arg.number is not None:
            return arg.number.octets, arg.number.octets
        if arg.type != "array":
            return LENGTH_BYTES[arg.type], LENGTH_BYTES[arg.type] + arg.max
        element = NUMBERS[arg.of].octets if arg.of in NUMBERS else self.protocol.structs[arg.of].max
        return 2, 2 + arg.max * element

    def check_senders(self, message):
        roles = {entry.name: entry for entry in self.protocol.enums["role"].entries} \
            if "role" in self.protocol.enums else {}
        for sender in message.senders:
            if sender not in roles:
                raise DeclarationError(message.line, f"message '{message.name}' is from '{sender}', "
                                                     "which is no entry of enum 'role'")
        for entry in roles.values():
            if entry.value > ROLE_MAX:
                raise DeclarationError(entry.line, f"role '{entry.name}' is above {ROLE_MAX}, roles are also bits")

    def check_c_names(self):
        """Upper-case names of C all start with the protocol's name, so two declarations can meet in one."""
        taken = {}

        def claim(line, name):
            if name in taken:
                raise DeclarationError(line, f"'{name.upper()}' of C would mean two things, see line {taken[name]}")
            taken[name] = line

        for constant in self.protocol.constants.values():
            claim(constant.line, constant.name)
        for enum in self.protocol.enums.values():
            for entry in enum.entries:
                claim(entry.line, f"{enum.name}_{entry.name}")
        for state in STATES:
            claim(self.protocol.line, f"state_{state}")
        for message in self.protocol.messages.values():
            claim(message.line, message.name)
            claim(message.line, message.name + "_max")
            if message.tail:
                claim(message.line, message.name + "_tail_max")


def read(data):
    """The Protocol that the XML text DATA declares; raises DeclarationError."""
    root = read_tree(data)
    check_tree(root)
    return Builder(root).build()
