"""What the C outputs share: names, types, literals, comments."""

import textwrap

from .declaration import NUMBERS

COLUMNS = 100
TAB = 8
C_TYPES = {"u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "i32": "int32_t"}


def guard(protocol):
    return f"PROTO_{protocol.name.upper()}_H"


def upper(protocol, name):
    return f"{protocol.name}_{name}".upper()


def literal(number, value):
    """VALUE as a literal of the type NUMBER."""
    if number.name == "u64":
        return f"UINT64_C({value})"
    return f"{value}" if number.signed else f"{value}u"


def comment(text, indent=0):
    """A block comment, on one line when it fits."""
    text = text.replace("*/", "* /")
    tabs = "\t" * indent
    one = f"{tabs}/* {text} */"
    if len(one) + indent * (TAB - 1) <= COLUMNS:
        return [one]
    lines = textwrap.wrap(text, COLUMNS - indent * TAB - 3)
    return [f"{tabs}/*"] + [f"{tabs} * {line}" for line in lines] + [f"{tabs} */"]


def sentence(*parts):
    """Parts of a description as one text, each ended by a full stop."""
    ended = [part if part.endswith((".", "?", "!")) else part + "." for part in parts if part]
    return " ".join(ended)


def range_text(low, high):
    if low is None and high is None:
        return ""
    if low is None:
        return f"at most {high}"
    if high is None:
        return f"at least {low}"
    return f"{low} to {high}"


def limits_text(arg):
    """The bounds of an arg, in words."""
    if arg.enum is not None:
        return f"enum {arg.enum}"
    if arg.number is not None:
        return range_text(arg.minval, arg.maxval)
    if arg.type == "array":
        return f"at most {arg.max} x {arg.of}"
    return f"at most {arg.max} octets"


def element_type(protocol, arg):
    return C_TYPES[arg.of] if arg.of in NUMBERS else f"struct {protocol.name}_{arg.of}"


def conditions(protocol, owner):
    """C expressions on m that must hold for the numbers of OWNER."""
    tests = []
    for arg in owner.args:
        if arg.enum is not None:
            tests.append(f"{protocol.name}_{arg.enum}_known(m->{arg.name})")
            continue
        if arg.minval is not None:
            tests.append(f"m->{arg.name} >= {literal(arg.number, arg.minval)}")
        if arg.maxval is not None:
            tests.append(f"m->{arg.name} <= {literal(arg.number, arg.maxval)}")
    return tests
