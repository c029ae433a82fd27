"""The reference: a table of all messages, then octets, types and bounds of each."""

from .c_text import limits_text
from .declaration import LENGTH_BYTES, NUMBERS


def cell(text):
    return text.replace("|", "\\|")


def octets_text(protocol, arg):
    if arg.number is not None:
        return str(arg.number.octets)
    if arg.type == "array":
        element = NUMBERS[arg.of] if arg.of in NUMBERS else None
        size = str(element.octets) if element else f"[{arg.of}](#struct-{arg.of})"
        return f"2 + count x {size}"
    return f"{LENGTH_BYTES[arg.type]} + length"


def args_table(protocol, owner):
    lines = ["| offset | octets | name | type | bounds | meaning |", "|---|---|---|---|---|---|"]
    offset, exact = 0, True
    for arg in owner.args:
        kind = f"array of {arg.of}" if arg.type == "array" else arg.type
        meaning = "; ".join(part for part in (arg.summary, f"in {arg.unit}" if arg.unit else "") if part)
        bounds = f"[{arg.enum}](#enum-{arg.enum})" if arg.enum else limits_text(arg)
        lines.append(f"| {offset if exact else '...'} | {octets_text(protocol, arg)} | {arg.name} | {kind} "
                     f"| {bounds} | {cell(meaning)} |")
        exact = exact and arg.number is not None
        offset += arg.number.octets if arg.number else 0
    tail = getattr(owner, "tail", None)
    if tail is not None:
        lines.append(f"| {offset if exact else '...'} | the rest | | tail | at most {tail.max} octets | {cell(tail.summary)} |")
    return lines + [""]


def bytes_text(owner):
    most = getattr(owner, "frame_max", owner.max)
    return f"{owner.min} octets" if owner.min == most else f"{owner.min} to {most} octets"


def generate(protocol):
    lines = [f"# Protocol {protocol.name}, version {protocol.version}", "",
             f"Made by protogen.py of {protocol.name}.xml: do not edit.", ""]
    if protocol.text:
        lines += [protocol.text, ""]
    lines += ["## Frame", "", "| offset | octets | name | meaning |", "|---|---|---|---|",
              "| 0 | 4 | length | octets of the payload |", "| 4 | 2 | opcode | which message |",
              "| 6 | 2 | flags | 0 |", "| 8 | 4 | serial | of the sender |", "| 12 | length | payload | the message |", "",
              "## Messages", "", "| opcode | name | from | when | payload |", "|---|---|---|---|---|"]
    for message in sorted(protocol.messages.values(), key=lambda one: one.opcode):
        senders = ", ".join(message.senders) or "both"
        lines.append(f"| {message.opcode} | [{message.name}](#message-{message.name}) | {senders} | {message.state} "
                     f"| {bytes_text(message)} |")
    lines.append("")
    for message in protocol.messages.values():
        lines += [f"### message {message.name}", ""]
        about = ". ".join(part.rstrip(".") for part in (message.summary, message.text) if part)
        lines += [about[:1].upper() + about[1:] + ".", ""] if about else []
        lines += args_table(protocol, message)
    if protocol.structs:
        lines += ["## Structs", ""]
    for struct in protocol.structs.values():
        lines += [f"### struct {struct.name}", "", f"{bytes_text(struct)}. {struct.summary}".strip(), ""]
        lines += args_table(protocol, struct)
    if protocol.enums:
        lines += ["## Enums", ""]
    for enum in protocol.enums.values():
        lines += [f"### enum {enum.name}", ""] + ([enum.summary, ""] if enum.summary else [])
        lines += ["| value | name | meaning |", "|---|---|---|"]
        lines += [f"| {entry.value} | {entry.name} | {cell(entry.summary)} |" for entry in enum.entries] + [""]
    if protocol.constants:
        lines += ["## Constants", "", "| name | value | meaning |", "|---|---|---|"]
        lines += [f"| {constant.name} | {constant.value} | {cell(constant.summary)} |"
                  for constant in protocol.constants.values()] + [""]
    return "\n".join(lines)
