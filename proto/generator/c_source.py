"""The C codec: for each struct and message one function to check, to write, to read and to print it."""

from .c_header import prototype, width
from .c_text import COLUMNS, conditions, upper
from .declaration import NUMBERS

DUMP_FORMATS = {"u8": ("%u", ""), "u16": ("%u", ""), "u32": ("%\" PRIu32 \"", ""), "u64": ("%\" PRIu64 \"", ""),
                "i32": ("%\" PRId32 \"", "")}


def function(head, body):
    return head[:-1] + [head[-1]] + ["{"] + body + ["}", ""]


def joined(first, tests, last):
    """Tests joined by && over as many lines as they need."""
    lines = [first]
    for number, test in enumerate(tests):
        text = test + (" &&" if number + 1 < len(tests) else last)
        glue = "" if number == 0 else " "
        if width(lines[-1] + glue + text) <= COLUMNS:
            lines[-1] += glue + text
        else:
            lines.append("\t\t\t" + text)
    return lines


def enums(protocol):
    lines = []
    for enum in protocol.enums.values():
        cases = []
        for entry in enum.entries:
            cases += [f"\tcase {upper(protocol, enum.name + '_' + entry.name)}:", f"\t\treturn \"{entry.name}\";"]
        lines += ["/* NULL for another. */"]
        lines += function([f"static const char *{enum.name}_entry(uint32_t value)"],
                          ["\tswitch (value) {"] + cases + ["\tdefault:", "\t\treturn NULL;", "\t}"])
        lines += function([f"bool {protocol.name}_{enum.name}_known(uint32_t value)"],
                          [f"\treturn {enum.name}_entry(value) != NULL;"])
        lines += function([f"const char *{protocol.name}_{enum.name}_name(uint32_t value)"],
                          [f"\tconst char *name = {enum.name}_entry(value);",
                           "\treturn name != NULL ? name : \"unknown\";"])
    return lines


def valid(protocol, owner):
    tests = conditions(protocol, owner)
    if not tests:
        return []
    return function([f"static bool {owner.name}_valid(const struct {protocol.name}_{owner.name} *m)"],
                    joined("\treturn ", tests, ";"))


def put_arg(arg):
    if arg.number is not None:
        return [f"\twire_put_{arg.type}(writer, m->{arg.name});"]
    if arg.type == "string":
        return [f"\twire_put_string(writer, m->{arg.name}, sizeof(m->{arg.name}));"]
    if arg.type == "bytes":
        return [f"\twire_put_bytes(writer, m->{arg.name}, m->{arg.name}_bytes, {arg.max});"]
    element = f"wire_put_{arg.of}(writer, m->{arg.name}[i]);" if arg.of in NUMBERS else \
        f"{arg.of}_put(writer, &m->{arg.name}[i]);"
    return [f"\tuint16_t {arg.name}_count = wire_put_count(writer, m->{arg.name}_count, {arg.max});",
            f"\tfor (uint16_t i = 0; i < {arg.name}_count; i++) {{", f"\t\t{element}", "\t}"]


def get_arg(arg):
    if arg.number is not None:
        return [f"\tm->{arg.name} = wire_get_{arg.type}(reader);"]
    if arg.type == "string":
        return [f"\twire_get_string(reader, m->{arg.name}, sizeof(m->{arg.name}));"]
    if arg.type == "bytes":
        return [f"\tm->{arg.name}_bytes = wire_get_bytes(reader, &m->{arg.name}, {arg.max});"]
    element = f"m->{arg.name}[i] = wire_get_{arg.of}(reader);" if arg.of in NUMBERS else \
        f"{arg.of}_get(reader, &m->{arg.name}[i]);"
    return [f"\tm->{arg.name}_count = wire_get_count(reader, {arg.max});",
            f"\tfor (uint16_t i = 0; i < m->{arg.name}_count; i++) {{", f"\t\t{element}", "\t}"]


def put(protocol, owner):
    body = [f"\twire_permit(writer, {owner.name}_valid(m));"] if conditions(protocol, owner) else []
    for arg in owner.args:
        body += put_arg(arg)
    name = f"struct {protocol.name}_{owner.name}"
    return function([f"static void {owner.name}_put(struct wire_writer *writer, const {name} *m)"], body)


def get(protocol, owner):
    body = []
    for arg in owner.args:
        body += get_arg(arg)
    body += [f"\twire_require(reader, {owner.name}_valid(m));"] if conditions(protocol, owner) else []
    name = f"struct {protocol.name}_{owner.name}"
    return function([f"static void {owner.name}_get(struct wire_reader *reader, {name} *m)"], body)


def text_number(protocol, label, number, enum, value):
    if enum is not None:
        return [f"\twire_text_add(text, \"{label}%s\", {protocol.name}_{enum}_name({value}));"]
    return [f"\twire_text_add(text, \"{label}{DUMP_FORMATS[number][0]}\", {value});".replace(" \"\",", ",")]


def text_arg(protocol, arg):
    label = f" {arg.name}="
    if arg.number is not None:
        return text_number(protocol, label, arg.type, arg.enum, f"m->{arg.name}")
    if arg.type == "string":
        return [f"\twire_text_add(text, \"{label}\");", f"\twire_text_add_string(text, m->{arg.name});"]
    if arg.type == "bytes":
        return [f"\twire_text_add(text, \"{label}%\" PRIu32 \" bytes\", m->{arg.name}_bytes);"]
    element = ["\t" + line for line in text_number(protocol, " ", arg.of, None, f"m->{arg.name}[i]")] \
        if arg.of in NUMBERS else [f"\t\t{arg.of}_text(text, &m->{arg.name}[i]);"]
    return [f"\twire_text_add(text, \"{label}[\");", f"\tfor (uint16_t i = 0; i < m->{arg.name}_count; i++) {{",
            *element, "\t}", "\twire_text_add(text, \" ]\");"]


def text(protocol, owner, is_message):
    body = []
    for arg in owner.args:
        body += text_arg(protocol, arg)
    if not is_message:
        body = ["\twire_text_add(text, \" {\");"] + body + ["\twire_text_add(text, \" }\");"]
    name = f"struct {protocol.name}_{owner.name}"
    return function([f"static void {owner.name}_text(struct wire_text *text, const {name} *m)"], body)


def codec(protocol, message):
    end = f"\treturn wire_reader_head(&reader, buffer, {upper(protocol, message.name + '_tail_max')});" \
        if message.tail else "\treturn wire_reader_end(&reader);"
    lines = function(prototype(protocol, message, "encode"), [
        "\tstruct wire_writer writer = wire_writer(buffer, size);",
        f"\t{message.name}_put(&writer, m);",
        "\treturn wire_writer_end(&writer, buffer);"])
    lines += function(prototype(protocol, message, "decode"), [
        "\tstruct wire_reader reader = wire_reader(buffer, length);",
        f"\t{message.name}_get(&reader, m);", end])
    return lines


def dump_message(protocol, message):
    name = f"{protocol.name}_{message.name}"
    body = [f"\tstruct {name} m;"]
    body += [f"\tint head_bytes = {name}_decode(&m, payload, length);", "\tif (head_bytes < 0) {"] if message.tail else \
        [f"\tif ({name}_decode(&m, payload, length) < 0) {{"]
    body += ["\t\twire_text_add(text, \" malformed, %zu bytes\", length);", "\t\treturn;", "\t}",
             f"\t{message.name}_text(text, &m);"]
    if message.tail:
        body += ["\twire_text_add(text, \" tail=%zu bytes\", length - (size_t)head_bytes);"]
    return function(
        [f"static void {message.name}_dump(struct wire_text *text, const uint8_t *payload, size_t length)"], body)


def dump(protocol):
    cases = []
    for message in sorted(protocol.messages.values(), key=lambda one: one.opcode):
        cases += [f"\tcase {upper(protocol, message.name)}:",
                  f"\t\t{message.name}_dump(&line, payload, length);", "\t\tbreak;"]
    body = [f"\tconst struct {protocol.name}_message_info *info = {protocol.name}_message_find(opcode);",
            "\tstruct wire_text line = wire_text(text, size);",
            "\tif (info == NULL) {",
            "\t\twire_text_add(&line, \"unknown opcode %u, %zu bytes\", opcode, length);", "\t\treturn;", "\t}",
            "\twire_text_add(&line, \"%s\", info->name);", "\tswitch (opcode) {"]
    return function([f"void {protocol.name}_dump(uint16_t opcode, const uint8_t *payload, size_t length, char *text,",
                     "\t\tsize_t size)"], body + cases + ["\tdefault:", "\t\tbreak;", "\t}"])


def senders(protocol, message):
    roles = [entry.name for entry in protocol.enums["role"].entries] if "role" in protocol.enums else []
    if not message.senders and not roles:
        return "UINT32_MAX"
    return " | ".join(f"1u << {upper(protocol, 'role_' + role)}" for role in message.senders or roles)


def table(protocol):
    name = f"{protocol.name}_message_info"
    count = upper(protocol, "message_count")
    lines = [f"const struct {name} {protocol.name}_messages[{count}] = {{"]
    for message in sorted(protocol.messages.values(), key=lambda one: one.opcode):
        tail_max = message.tail.max if message.tail else 0
        lines += ["\t\t{", f"\t\t\t\t.name = \"{message.name}\",",
                  f"\t\t\t\t.opcode = {upper(protocol, message.name)},",
                  f"\t\t\t\t.from = {senders(protocol, message)},",
                  f"\t\t\t\t.state = {upper(protocol, 'state_' + message.state)},",
                  f"\t\t\t\t.min = {message.min},", f"\t\t\t\t.max = {message.frame_max},",
                  f"\t\t\t\t.tail_max = {tail_max},", "\t\t},"]
    lines += ["};", ""]
    lines += function([f"const struct {name} *{protocol.name}_message_find(uint16_t opcode)"], [
        f"\tfor (unsigned i = 0; i < {count}; i++) {{",
        f"\t\tif ({protocol.name}_messages[i].opcode == opcode) {{",
        f"\t\t\treturn &{protocol.name}_messages[i];", "\t\t}", "\t}", "\treturn NULL;"])
    return lines


def generate(protocol):
    lines = [f"/* Made by protogen.py of {protocol.name}.xml: do not edit. Wire and functions: see the header. */",
             f"#include \"proto/{protocol.name}.h\"", "", "#include <inttypes.h>", "", "#include \"proto/wire.h\"", ""]
    lines += enums(protocol)
    for owner in list(protocol.structs.values()) + list(protocol.messages.values()):
        is_message = owner.name in protocol.messages
        lines += valid(protocol, owner) + put(protocol, owner) + get(protocol, owner)
        lines += text(protocol, owner, is_message)
        if is_message:
            lines += codec(protocol, owner) + dump_message(protocol, owner)
    lines += table(protocol) + dump(protocol)
    return "\n".join(lines)
