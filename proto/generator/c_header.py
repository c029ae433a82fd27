"""The C header: constants, enums, structs, and what can be done with each message."""

from .c_text import C_TYPES, COLUMNS, TAB, comment, element_type, guard, limits_text, sentence, upper
from .declaration import STATES


def width(line):
    return len(line.expandtabs(TAB))


def with_note(line, note):
    """LINE with NOTE behind it, or above it when it would be too long."""
    if not note:
        return [line]
    both = f"{line} // {note}"
    if width(both) <= COLUMNS:
        return [both]
    indent = len(line) - len(line.lstrip("\t"))
    return comment(note, indent) + [line]


def member(protocol, arg):
    note = "; ".join(part for part in (arg.unit, limits_text(arg), arg.summary) if part)
    if arg.number is not None:
        return with_note(f"\t{C_TYPES[arg.type]} {arg.name};", note)
    if arg.type == "string":
        return with_note(f"\tchar {arg.name}[{arg.max} + 1];", "; ".join(part for part in ("ends in NUL", arg.summary) if part))
    if arg.type == "bytes":
        return (with_note(f"\tconst uint8_t *{arg.name};", "; ".join(part for part in ("borrowed", arg.summary) if part))
                + [f"\tuint32_t {arg.name}_bytes; // at most {arg.max}"])
    return ([f"\tuint16_t {arg.name}_count; // at most {arg.max}"]
            + with_note(f"\t{element_type(protocol, arg)} {arg.name}[{arg.max}];",
                        "; ".join(part for part in (arg.unit, arg.summary) if part)))


def struct(protocol, owner, text):
    lines = comment(text) if text else []
    lines.append(f"struct {protocol.name}_{owner.name} {{")
    for arg in owner.args:
        lines += member(protocol, arg)
    return lines + ["};", ""]


def constants(protocol):
    lines = [f"#define {upper(protocol, 'version_number')} {protocol.version}u"]
    for constant in protocol.constants.values():
        lines += comment(constant.summary) if constant.summary else []
        lines.append(f"#define {upper(protocol, constant.name)} {constant.value}u")
    return lines + [""]


def enums(protocol):
    lines = []
    for enum in protocol.enums.values():
        lines += comment(enum.summary) if enum.summary else []
        lines.append(f"enum {protocol.name}_{enum.name} {{")
        for entry in enum.entries:
            lines += with_note(f"\t{upper(protocol, enum.name + '_' + entry.name)} = {entry.value},", entry.summary)
        lines += ["};", ""]
        lines += [f"bool {protocol.name}_{enum.name}_known(uint32_t value);",
                  f"const char *{protocol.name}_{enum.name}_name(uint32_t value); // \"unknown\" for another", ""]
    return lines


def table(protocol):
    lines = [f"enum {protocol.name}_opcode {{"]
    lines += [f"\t{upper(protocol, message.name)} = {message.opcode}," for message in protocol.messages.values()]
    lines += ["};", ""]
    lines += comment("When a message may come: in any state, only as the greeting, or only when the session is up.")
    lines += [f"enum {protocol.name}_state {{"]
    lines += [f"\t{upper(protocol, 'state_' + state)}," for state in STATES]
    lines += ["};", "", f"struct {protocol.name}_message_info {{",
              "\tconst char *name;",
              "\tuint16_t opcode;",
              "\tuint32_t from; // bit set of the roles that may send it, 1u << role",
              f"\tenum {protocol.name}_state state;",
              "\tuint32_t min; // bytes of payload, tail included",
              "\tuint32_t max;",
              "\tuint32_t tail_max; // bytes; 0: the message has no tail",
              "};", "",
              f"#define {upper(protocol, 'message_count')} {len(protocol.messages)}u", "",
              "/* Every message, by growing opcode. */",
              f"extern const struct {protocol.name}_message_info "
              f"{protocol.name}_messages[{upper(protocol, 'message_count')}];", "",
              "/* Returns what is known of an opcode, or NULL. */",
              f"const struct {protocol.name}_message_info *{protocol.name}_message_find(uint16_t opcode);", ""]
    lines += comment("Writes one line about a message for a log into TEXT of SIZE bytes (at least 1), cut to fit. The "
                     "payload may be malformed, or of a long message only the first part.")
    lines += [f"void {protocol.name}_dump(uint16_t opcode, const uint8_t *payload, size_t length, char *text,",
              "\t\tsize_t size);", ""]
    return lines


def prototype(protocol, message, verb):
    """encode or decode, broken as clang-format does."""
    name = f"{protocol.name}_{message.name}"
    if verb == "encode":
        head, words = f"ssize_t {name}_encode(", [f"const struct {name} *m,", "uint8_t *buffer,", "size_t size)"]
    else:
        head, words = f"int {name}_decode(", [f"struct {name} *m,", "const uint8_t *buffer,", "size_t length)"]
    lines = [head]
    for word in words:
        joined = lines[-1] + ("" if lines[-1].endswith("(") or lines[-1].endswith("\t") else " ") + word
        if width(joined) < COLUMNS:
            lines[-1] = joined
        else:
            lines.append("\t\t" + word)
    return lines


def messages(protocol):
    lines = []
    for message in protocol.messages.values():
        lines += struct(protocol, message, sentence(message.summary, message.text))
        note = "without the tail" if message.tail else ""
        lines += with_note(f"#define {upper(protocol, message.name + '_max')} {message.max}u", note)
        if message.tail:
            lines += with_note(f"#define {upper(protocol, message.name + '_tail_max')} {message.tail.max}u",
                               message.tail.summary)
        for verb in ("encode", "decode"):
            text = prototype(protocol, message, verb)
            lines += text[:-1] + [text[-1] + ";"]
        lines.append("")
    return lines


def generate(protocol):
    lines = comment(f"Made by protogen.py of {protocol.name}.xml: do not edit. " + sentence(protocol.summary, protocol.text))
    lines += [f"#ifndef {guard(protocol)}", f"#define {guard(protocol)}", "",
              "#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>", "#include <sys/types.h>", ""]
    lines += constants(protocol) + enums(protocol) + table(protocol)
    for owner in protocol.structs.values():
        lines += struct(protocol, owner, owner.summary)
    lines += comment("For every message below: encode writes it into BUFFER of SIZE bytes and returns the bytes written, "
                     "-EMSGSIZE when there is no room (..._MAX is always enough), or -EINVAL when a value is not allowed. "
                     "decode fills *M from exactly LENGTH bytes and returns 0, or -EBADMSG when they are not such a "
                     "message (*M is then undefined); what is borrowed points into BUFFER. Where a message has a tail, "
                     "encode writes what stands before it, and decode returns the bytes of that head instead of 0: the tail "
                     "follows there, and need not be in the buffer.")
    lines.append("")
    lines += messages(protocol)
    return "\n".join(lines + ["#endif", ""])
