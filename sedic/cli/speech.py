"""What commands say: lines for people, one JSON object for programs, notes.

Results go to standard output, notes and errors to standard error; where standard output carries a file (``-o -``),
all that is said goes to standard error. What strangers wrote, in words or file names, moves neither the cursor nor the
direction of writing: such characters are shown as ``\\x1b`` or ``\\u202e``. That nobody listens any more (``| head``)
is no failure and ends no work.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from ..errors import SedicError

_JOINERS = "\u200c\u200d"  # of scripts and emoji: they change how letters look, and nothing else
_MOVES = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format (the bidi ones among them), lone halves, line ends
# Nobody reads: of a pipe; Windows says it so.
_GONE = {errno.EPIPE, errno.EINVAL if os.name == "nt" else errno.EPIPE}


def shown(text: str) -> str:
    """``text`` with every character escaped that is no visible one.

    >>> print(shown("a\\x1b[2Jb" + chr(0x202e)))
    a\\x1b[2Jb\\u202e
    """
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _MOVES and c not in _JOINERS else c
        for c in text
    )


class Speech:
    """Where one command speaks.

    Attributes:
        notes: all that were told, for the JSON.
    """

    def __init__(self, as_json: bool = False, data_on_stdout: bool = False) -> None:
        """``as_json``: one object instead of lines; ``data_on_stdout``: standard output belongs to a file."""
        self.notes: list[str] = []
        self._as_json, self._aside = as_json, data_on_stdout

    def say(self, *lines: str) -> None:
        """Lines for people; silent where JSON was asked for."""
        if not self._as_json:
            self._out("".join(shown(line) + "\n" for line in lines))

    def json(self, facts: dict[str, Any]) -> None:
        """The command's one JSON object, with its notes; silent where lines were asked for.

        It is UTF-8 whatever the terminal's encoding is: where that is another one, ASCII alone.
        """
        if not self._as_json:
            return
        stream = sys.stderr if self._aside else sys.stdout
        plain = not (getattr(stream, "encoding", None) or "").lower().replace("-", "").startswith("utf8")
        text = json.dumps(facts | {"notes": self.notes}, ensure_ascii=plain, indent=1)
        self._out(re.sub(r"[^\n\x20-\x7e]", _in_json, text) + "\n", raw=True)

    def note(self, text: str) -> None:
        """What was done with input that was read otherwise than meant."""
        text = " ".join(text.split("\n"))
        self.notes.append(text)
        if not (self._as_json and self._aside):  # else standard error is the JSON's
            _write(sys.stderr, f"Note: {shown(text)}\n")

    def error(self, text: str) -> None:
        """Why the command failed, in one line."""
        _write(sys.stderr, shown(" ".join(text.split("\n"))) + "\n")

    @contextmanager
    def hears_warnings(self) -> Iterator[None]:
        """Tells users' warnings as notes."""
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, category, *_, **__: (
                self.note(str(message)) if issubclass(category, UserWarning) else None
            )
            yield

    def _out(self, text: str, raw: bool = False) -> None:
        try:
            _write(sys.stderr if self._aside else sys.stdout, text, raw)
        except OSError as error:
            raise SedicError(f"Standard output cannot be written ({error.strerror}); free some space.") from error


def finish() -> None:
    """Writes what standard output still holds: at the interpreter's end a failure would be a traceback.

    Raises:
        OSError: it cannot be written, for another reason than that nobody reads.
    """
    _write(sys.stdout, "")


def write_data(data: bytes) -> None:
    """A file's bytes to standard output.

    Raises:
        OSError: it cannot be written; BrokenPipeError where nobody reads.
    """
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        raise OSError(errno.EBADF, "standard output is closed")
    try:
        sys.stdout.flush()
        stream.write(data)
        stream.flush()
    except OSError as error:
        _silence(sys.stdout)
        if error.errno in _GONE:
            raise BrokenPipeError(errno.EPIPE, "nobody reads") from error
        raise


def _in_json(match: re.Match[str]) -> str:
    return match[0] if shown(match[0]) == match[0] else json.dumps(match[0])[1:-1]


def _write(stream: TextIO | None, text: str, raw: bool = False) -> None:
    """Writes to a stream that may be closed or nobody's; ``raw``: as UTF-8, whatever its encoding."""
    if stream is None:
        return
    try:
        if raw and hasattr(stream, "buffer"):
            stream.flush()
            stream.buffer.write(text.encode("utf-8"))
            stream.buffer.flush()
        elif text:
            stream.write(text)
        stream.flush()
    except OSError as error:
        _silence(stream)
        if error.errno not in _GONE:
            raise


def _silence(stream: TextIO) -> None:
    """Points a stream that failed at nothing, or it would fail again when the interpreter ends."""
    try:
        number = stream.fileno()
    except (OSError, io.UnsupportedOperation):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)
