#!/usr/bin/env python3
"""Makes the codecs, the reference and the fuzzer's dictionary of a protocol from its one declaration."""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the source folder stays as it is

from generator import c_check, c_header, c_source, declaration, dictionary, markdown, python_module  # noqa: E402

OUTPUTS = {
    "header": (c_header.generate, "C header"),
    "source": (c_source.generate, "C codec"),
    "check-header": (c_check.header, "C header for tests"),
    "check": (c_check.generate, "C file for tests: decodes and encodes again"),
    "python": (python_module.generate, "Python module"),
    "markdown": (markdown.generate, "reference with octet tables"),
    "dictionary": (dictionary.generate, "libFuzzer dictionary"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("declaration", metavar="FILE.xml")
    for name, (_, text) in OUTPUTS.items():
        parser.add_argument(f"--{name}", metavar="FILE", help=f"write the {text}")
    arguments = parser.parse_args()
    try:
        protocol = declaration.read(Path(arguments.declaration).read_bytes())
    except declaration.DeclarationError as error:
        print(f"{arguments.declaration}:{error.line}: error: {error.text}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"protogen: {arguments.declaration}: {error.strerror}", file=sys.stderr)
        return 1
    for name, (generate, _) in OUTPUTS.items():
        path = getattr(arguments, name.replace("-", "_"))
        if path is not None:
            Path(path).write_text(generate(protocol), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
