"""The command line: encode, decode, info, unpack, compare, evaluate, verify, train, demo; a file each.

Every failure is one line on standard error with exit status 1; wrong usage exits with 2, Ctrl-C with 130, a reader that
has gone away with 141.
"""

from __future__ import annotations

import argparse
import io
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

from .. import __version__
from ..errors import SedicError
from .files import goes_to_stdout
from .speech import Speech, finish, shown

INTERRUPTED, NOBODY_READS = 130, 141  # as shells say it: 128 and the signal's number
MODULES = {
    "encode": "encode", "decode": "decode", "info": "contents", "unpack": "contents", "compare": "compare",
    "evaluate": "evaluate", "verify": "verify", "train": "train", "demo": "demo",
}  # fmt: skip
"""The commands, and the modules of this folder that add them to a parser."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # words may have letters that a terminal lacks
    speech = Speech()
    try:
        try:
            typed = sys.argv[1:] if arguments is None else arguments
            options = parser(typed[0] if typed else None).parse_args(typed)
            options.typed = typed
            on_stdout = getattr(options, "writes_data", False) and goes_to_stdout(options.output)
            speech = Speech(getattr(options, "json", False), on_stdout)
            with speech.hears_warnings(), _signals_unwind():
                options.run(options, speech)
        finally:
            finish()
    except SedicError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            return NOBODY_READS
        speech.error(str(error))
        return 1
    except OSError as error:
        speech.error(f"{error.strerror or error}: {error.filename or 'standard output'} cannot be used.")
        return 1
    except MemoryError:
        speech.error("There is not enough memory for this; close other programs, or take a smaller picture.")
        return 1
    except KeyboardInterrupt:
        speech.error("Interrupted; files that were finished are kept.")
        return INTERRUPTED
    return 0


class Parser(argparse.ArgumentParser):
    """argparse's own, whose errors show no control characters of file names."""

    def error(self, message: str) -> NoReturn:
        """Tells wrong usage and exits with 2."""
        super().error(shown(message))


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """All commands and their options; where ``command`` is one, that alone, since the others' imports take time."""
    top = Parser(prog="sedic", description="Pictures as files of about a thousand bytes.")
    top.add_argument("--version", action="version", version=__version__)
    kinds = top.add_subparsers(required=True, metavar="COMMAND")
    for module in [MODULES[command]] if command in MODULES else dict.fromkeys(MODULES.values()):
        import_module(f".{module}", __name__).add(kinds)
    return top


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """SIGTERM and a closed terminal end the command as Ctrl-C does: no partial file stays."""

    def stop(number: int, _: Any) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield
        return
    numbers = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    before = {n: signal.signal(n, stop) for n in numbers if signal.getsignal(n) == signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
