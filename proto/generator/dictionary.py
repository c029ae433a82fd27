"""A libFuzzer dictionary: opcodes, enum values and bounds as they stand on the wire."""


def word(value, octets):
    return "".join(f"\\x{octet:02X}" for octet in (value % (1 << (8 * octets))).to_bytes(octets, "little"))


def generate(protocol):
    lines = [f"# Made by protogen.py of {protocol.name}.xml: do not edit."]
    seen = set()

    def add(name, value, octets):
        text = word(value, octets)
        if text not in seen:
            seen.add(text)
            lines.append(f"{name}=\"{text}\"")

    for message in protocol.messages.values():
        add(f"opcode_{message.name}", message.opcode, 2)
    for owner in list(protocol.structs.values()) + list(protocol.messages.values()):
        for arg in owner.args:
            if arg.number is None:
                octets = 4 if arg.type == "bytes" else 2
                add(f"{owner.name}_{arg.name}_max", arg.max, octets)
                continue
            for bound in ("minval", "maxval"):
                if getattr(arg, bound) is not None:
                    add(f"{owner.name}_{arg.name}_{bound}", getattr(arg, bound), arg.number.octets)
            if arg.enum is not None:
                for entry in protocol.enums[arg.enum].entries:
                    add(f"{arg.enum}_{entry.name}", entry.value, arg.number.octets)
    return "\n".join(lines) + "\n"
