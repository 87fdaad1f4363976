"""Files that commands read and write: what is told before the work, ``-``, and inputs that no output may replace."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .. import output
from ..batch.places import Address, where
from ..bitstream import SedicFile
from ..bitstream.container import MOST_FILE
from ..bitstream.header import MAGIC
from ..errors import SedicError
from . import speech

MOST_PICTURE = 1 << 30  # bytes that are read of a picture that comes through a pipe


class Standard:
    """What ``-`` names: standard input, or standard output."""

    def __str__(self) -> str:
        return "-"


STANDARD = Standard()
Name = Path | Standard | Address


class Given(io.BytesIO):
    """The bytes of a pipe; in messages it is called what the person called it."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name

    def __str__(self) -> str:
        return self.name


def name(text: str) -> Name:
    """An argument that names a file or, as ``-``, a standard stream; ``./-`` is a file of that name."""
    return STANDARD if text == "-" else where(text)


def require_here(*places: Any) -> None:
    """Raises SedicError where one of them is no file or folder of this machine."""
    for place in places:
        if isinstance(place, Address):
            raise SedicError(f"{place} is not on this machine; name a file here, or folders there with --engine ray.")


def read_from(source: Name, most: int = MOST_PICTURE) -> Path | Given:
    """What a reader can take that jumps about: an ordinary file's path, or all bytes of a pipe or device.

    Raises:
        SedicError: nothing can be read there, or more than ``most`` bytes come.
    """
    require_here(source)
    if isinstance(source, Path) and not output.is_stream(source):
        return source
    shown = "standard input" if isinstance(source, Standard) else str(source)
    try:
        if isinstance(source, Path):
            with open(source, "rb") as stream:
                data = stream.read(most + 1)
        elif sys.stdin is None:
            raise SedicError("There is no standard input; name a file.")
        else:
            data = sys.stdin.buffer.read(most + 1)
    except OSError as error:
        raise SedicError(f"{shown} cannot be read ({error.strerror or error}); name a file.") from error
    if len(data) > most:
        raise SedicError(f"{shown} holds more than {most} bytes; name a smaller file.")
    return Given(data, shown)


def read_picture(source: Name, metadata: bool = True) -> np.ndarray:
    """Reads a picture, also from a pipe, as :func:`sedic.picture.read_picture`, which takes paths and open files."""
    from .. import picture

    found: Any = read_from(source)
    return picture.read_picture(found, metadata)


def read_sedic(source: Name) -> SedicFile:
    """Reads a ``.sedic`` file, also from a pipe; errors as of :meth:`SedicFile.read`."""
    found = read_from(source, MOST_FILE)
    return SedicFile.read(found) if isinstance(found, Path) else SedicFile.from_bytes(found.getvalue())


def read_text(source: Name, most: int = 1 << 20) -> str:
    """The text of a UTF-8 file, or of a pipe.

    Raises:
        SedicError: it cannot be read, or is no text.
    """
    found = read_from(source, most)
    try:
        data = found.read_bytes() if isinstance(found, Path) else found.getvalue()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise SedicError(f"{source} cannot be read ({error.strerror}); name a text file.") from error
    except UnicodeDecodeError as error:
        raise SedicError(f"{source} is no UTF-8 text ({error.reason}); save it as UTF-8.") from error


def read_once(*sources: Name | None) -> None:
    """Raises SedicError where more than one of them is standard input."""
    if sum(isinstance(source, Standard) for source in sources) > 1:
        raise SedicError("Standard input (-) can be read only once; name a file for all inputs but one.")


def check_output(target: Name, inputs: Iterable[Name | None], force: bool = True, hides: bool = False) -> None:
    """Told before the work: an output that cannot be written, is an input, or would replace what it should not.

    Args:
        target: to be written.
        inputs: files that the command reads; links and other spellings of them count.
        force: whether an existing file that is no ``.sedic`` may be replaced.
        hides: whether no existing ``.sedic`` file may be: what is written is a picture or text.

    Raises:
        SedicError: one of these.
    """
    require_here(target)
    if not isinstance(target, Path):
        return
    output.check(target)
    for source in inputs:
        if same(target, source):
            raise SedicError(f"{target} is an input ({source}) and would be lost; name another output.")
    kind = _begins(target)
    if not force and kind not in (None, b"", MAGIC):
        raise SedicError(f"{target} exists and is no .sedic file; name another output, or add --force to replace it.")
    if hides and kind == MAGIC:
        raise SedicError(f"{target} is a .sedic file and would be lost; name another output.")


def same(a: Name | None, b: Name | None) -> bool:
    """Whether two names are one file, links and other spellings counted."""
    if not isinstance(a, Path) or not isinstance(b, Path):
        return False
    try:
        return os.path.samefile(a, b)
    except OSError:  # one of them is not there
        return os.path.realpath(a) == os.path.realpath(b)


def check_folder(path: Path) -> None:
    """Told before the work: a folder that can be neither used nor made.

    Raises:
        SedicError: it cannot.
    """
    for folder in (path, *Path(os.path.abspath(path)).parents):
        if folder.is_dir():
            if not os.access(folder, os.W_OK):
                raise SedicError(f"The folder {folder} is write-protected; name another.")
            return
        if folder.exists() or folder.is_symlink():
            break
    raise SedicError(f"The folder {path} cannot be made ({folder} is no folder); name another.")


def write(target: Name, data: bytes) -> None:
    """Writes an output, see :func:`sedic.output.write`.

    Raises:
        SedicError: it cannot be written; its ``__cause__`` is BrokenPipeError where nobody reads.
    """
    if isinstance(target, Path):
        output.write(target, data)
        return
    try:
        speech.write_data(data)
    except OSError as error:
        raise SedicError(f"Standard output cannot be written ({error.strerror}); name a file.") from error


def goes_to_stdout(target: Name | None) -> bool:
    """Whether an output is standard output, by ``-`` or a name such as ``/dev/stdout``."""
    return isinstance(target, Standard) or (target is not None and output.descriptor(target) == 1)


def _begins(path: Path) -> bytes | None:
    """The first bytes of an ordinary file; None where there is none, or it may not be read."""
    try:
        if not path.is_file() or output.is_stream(path):
            return None
        with path.open("rb") as file:
            return file.read(len(MAGIC))
    except OSError:
        return None
