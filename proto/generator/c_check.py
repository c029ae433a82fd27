"""A C file for tests: decodes a message of any opcode and encodes it again."""

from .c_text import upper


def reencode(protocol, message):
    name = f"{protocol.name}_{message.name}"
    lines = [f"static ssize_t {message.name}_reencode(const uint8_t *payload, size_t length, uint8_t *buffer,",
             "\t\tsize_t size)", "{", f"\tstruct {name} m;",
             f"\tint head_bytes = {name}_decode(&m, payload, length);", "\tif (head_bytes < 0) {",
             "\t\treturn head_bytes;", "\t}"]
    if not message.tail:
        return lines + [f"\treturn {name}_encode(&m, buffer, size);", "}", ""]
    return lines + [f"\tssize_t count = {name}_encode(&m, buffer, size);",
                    "\treturn append(payload, length, head_bytes, buffer, size, count);", "}", ""]


APPEND = """\
/* What follows the head of PAYLOAD, behind the COUNT bytes of BUFFER. */
static ssize_t append(const uint8_t *payload, size_t length, int head_bytes, uint8_t *buffer,
		size_t size, ssize_t count)
{
	size_t tail_bytes = length - (size_t)head_bytes;
	if (count < 0 || tail_bytes > size - (size_t)count) {
		return count < 0 ? count : -EMSGSIZE;
	}
	memcpy(buffer + count, payload + head_bytes, tail_bytes);
	return count + (ssize_t)tail_bytes;
}
"""


def header(protocol):
    """Its header, which is the same for every protocol."""
    name = protocol.name
    return "\n".join([
        f"/* Made by protogen.py of {name}.xml, for tests: do not edit. */",
        f"#ifndef PROTO_{name.upper()}_CHECK_H", f"#define PROTO_{name.upper()}_CHECK_H", "",
        "#include <stddef.h>", "#include <stdint.h>", "#include <sys/types.h>", "",
        "/*", " * Decodes a payload and encodes it into BUFFER. Returns the bytes written, -ENOENT for an unknown opcode, or the",
        " * codec's error.", " */",
        f"ssize_t {name}_reencode(uint16_t opcode, const uint8_t *payload, size_t length, uint8_t *buffer,",
        "\t\tsize_t size);", "", "#endif", ""])


def generate(protocol):
    name = protocol.name
    lines = [f"/* Made by protogen.py of {name}.xml, for tests: do not edit. */",
             f"#include \"proto/{name}_check.h\"", "", "#include <errno.h>", "#include <string.h>", "",
             f"#include \"proto/{name}.h\"", ""]
    if any(message.tail for message in protocol.messages.values()):
        lines.append(APPEND)
    for message in protocol.messages.values():
        lines += reencode(protocol, message)
    lines += [f"ssize_t {name}_reencode(uint16_t opcode, const uint8_t *payload, size_t length, uint8_t *buffer,",
              "\t\tsize_t size)", "{", "\tswitch (opcode) {"]
    for message in protocol.messages.values():
        lines += [f"\tcase {upper(protocol, message.name)}:",
                  f"\t\treturn {message.name}_reencode(payload, length, buffer, size);"]
    return "\n".join(lines + ["\tdefault:", "\t\treturn -ENOENT;", "\t}", "}", ""])
