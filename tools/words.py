"""The words of a command line, and what is if there are none, for tools in
Python."""

import argparse
import re
import sys
from pathlib import Path


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with them; `name` begins it."""

    def __init__(self, name, **options):
        options.setdefault("formatter_class",
                           argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)
        self.name = name

    def error(self, message):
        print(f"{self.name}: {message}; --help says what there is",
              file=sys.stderr)
        sys.exit(2)

    def verbs(self, **options):
        """add_subparsers, of parsers of the same name."""
        return self.add_subparsers(
            parser_class=lambda **more: Parser(self.name, **more), **options)


def defaults():
    """What tools/defaults has: {name: value}."""
    text = (Path(__file__).resolve().parent / "defaults").read_text()
    return dict(re.findall(r"(?m)^([A-Z]+)=(.*)$", text))


def number(least):
    """A `type`: a whole one from `least` on."""
    def read(text):
        try:
            if least <= int(text) < 1e9:
                return int(text)
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a number from {least} on")
    return read
