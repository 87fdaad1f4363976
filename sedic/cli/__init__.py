"""The command line: encode, decode, info, unpack, compare, train, demo; a file each, and what they share.

Every failure is one line on standard error with exit status 1; wrong usage exits with 2.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections.abc import Sequence

from .. import __version__
from ..errors import SedicError
from . import compare, contents, decode, demo, encode, train


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # words may have letters that a terminal lacks
    options = parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, category, *_: (
            print(f"Note: {message}", file=sys.stderr) if issubclass(category, UserWarning) else None
        )
        try:
            options.run(options)
        except SedicError as error:
            print(str(error).replace("\n", " "), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("Interrupted; files that were finished are kept.", file=sys.stderr)
            return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="sedic", description="Pictures as files of about a thousand bytes.")
    top.add_argument("--version", action="version", version=__version__)
    kinds = top.add_subparsers(required=True, metavar="COMMAND")
    for command in (encode, decode, contents, compare, train, demo):
        command.add(kinds)
    return top
