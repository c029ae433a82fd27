"""The Python module: a class for each struct and message. Its runtime is python_runtime.py, put in front."""

from pathlib import Path

from .declaration import NUMBERS

CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i32": "i"}
RUNTIME = Path(__file__).parent / "python_runtime.py"


def class_name(name):
    return "".join(part.capitalize() for part in name.split("_"))


def quoted(text):
    return text.replace("\\", "\\\\").replace('"', '\\"')


def number(name, low=None, high=None, values=None):
    kind = NUMBERS[name]
    low = kind.low if low is None else low
    high = kind.high if high is None else high
    last = f", {class_name(values)}" if values else ""
    return f"_Number(\"{CODES[name]}\", {low}, {high}{last})"


def codec(arg):
    if arg.number is not None:
        return number(arg.type, arg.minval, arg.maxval, arg.enum)
    if arg.type == "string":
        return f"_String({arg.max})"
    if arg.type == "bytes":
        return f"_Bytes({arg.max})"
    element = number(arg.of) if arg.of in NUMBERS else f"_Struct({class_name(arg.of)})"
    return f"_Array({element}, {arg.max})"


def default(arg):
    if arg.number is not None:
        return "0"
    return {"string": "\"\"", "bytes": "b\"\"", "array": "field(default_factory=list)"}[arg.type]


def declare(owner, base, text, first):
    lines = ["", "", "@dataclass", f"class {class_name(owner.name)}{base}:"]
    lines += [f"    \"\"\"{quoted(text)}\"\"\"", ""] if text else []
    lines += first
    lines += ["    FIELDS = ("]
    lines += [f"        (\"{arg.name}\", {codec(arg)})," for arg in owner.args]
    lines += ["    )"]
    types = {"string": "str", "bytes": "bytes", "array": "list"}
    lines += [f"    {arg.name}: \"{types.get(arg.type, 'int')}\" = {default(arg)}" for arg in owner.args]
    return lines


def generate(protocol):
    lines = [f"\"\"\"Made by protogen.py of {protocol.name}.xml: do not edit. {quoted(protocol.summary)}\"\"\""]
    lines += [RUNTIME.read_text(encoding="utf-8").rstrip(), "", ""]
    lines += [f"VERSION_NUMBER = {protocol.version}"]
    lines += [f"{constant.name.upper()} = {constant.value}" for constant in protocol.constants.values()]
    for enum in protocol.enums.values():
        lines += ["", "", f"class {class_name(enum.name)}(enum.IntEnum):"]
        lines += [f"    \"\"\"{quoted(enum.summary)}\"\"\"", ""] if enum.summary else []
        lines += [f"    {entry.name.upper()} = {entry.value}" for entry in enum.entries]
    for struct in protocol.structs.values():
        lines += declare(struct, "", struct.summary, [])
    for message in protocol.messages.values():
        first = [f"    OPCODE = {message.opcode}", f"    NAME = \"{message.name}\"",
                 f"    SENDERS = {message.senders!r}", f"    STATE = \"{message.state}\""]
        first += [f"    TAIL_MAX = {message.tail.max}"] if message.tail else []
        lines += declare(message, "(Message)", message.summary, first)
        lines += ["    tail: \"bytes\" = b\"\""] if message.tail else []
    lines += ["", "", "MESSAGES = {kind.OPCODE: kind for kind in ("]
    lines += [f"    {class_name(message.name)}," for message in protocol.messages.values()] + [")}", ""]
    return "\n".join(lines)
