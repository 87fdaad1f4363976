"""The one way to write a file: whole or not at all, and through links, devices and FIFOs.

The bytes go to a neighbour of a name that nobody else has, which then takes the file's place: whoever reads meanwhile
sees the old file or the new one, and of two writers the last one wins. What is no ordinary file (``/dev/null``,
``/dev/stdout``, a FIFO), or has other names too (a hard link), is written in place; a symbolic link stays and its
target is written.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid
from pathlib import Path

from .errors import SedicError

Name = str | os.PathLike[str]

_DESCRIPTORS = re.compile(r"(?:/dev/fd|/proc/(?:self|\d+)/fd)/(\d+)")
# The folder takes no new file, or this one is mounted by itself: yet the file may be written.
_NO_NEIGHBOUR = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV}


class OutputError(SedicError):
    """Something cannot be written; its ``__cause__`` is what the system said."""


def write(path: Name, data: bytes) -> None:
    """Writes a file; if that fails, or is interrupted, a file that was there stays as it was.

    Raises:
        OutputError: the system says no.
    """
    try:
        _write(path, data)
    except OSError as error:
        cure = "free some space, or name another place" if error.errno == errno.ENOSPC else "name another place"
        raise OutputError(f"{path} cannot be written ({error.strerror or error}); {cure}.") from error


def check(path: Name) -> None:
    """Told before the work whether :func:`write` has a place to write to; nothing is made.

    Raises:
        OutputError: a folder, one that is missing, or one or a file that may not be written.
    """
    if descriptor(path) is not None:
        return
    try:
        there = _status(path)
        folder = os.path.dirname(os.path.realpath(path))
        if there is not None and stat.S_ISDIR(there.st_mode):
            raise OutputError(f"{path} is a folder; name a file in it.")
        if there is None and not os.path.isdir(folder):
            raise OutputError(f"{path} cannot be written: there is no folder {folder}; make it, or name another.")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}); name another place.") from error
    if not os.access(folder if there is None else path, os.W_OK):
        what = f"the folder {folder}" if there is None else "it"
        raise OutputError(f"{path} cannot be written: {what} is write-protected; name another place.")


def make_folder(path: Path) -> None:
    """Makes a folder, with those around it.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path} cannot be made ({error}); name another.") from error


def is_stream(path: Name) -> bool:
    """Whether the path is a device, a FIFO or the like, which has no ending to speak of."""
    if descriptor(path) is not None:
        return True
    there = _status(path)
    return there is not None and not stat.S_ISREG(there.st_mode) and not stat.S_ISDIR(there.st_mode)


def descriptor(path: Name) -> int | None:
    """The number of the open file of this process that a path such as ``/dev/stdout`` stands for; None for others."""
    name = os.fspath(path)
    for _ in range(40):  # links; what is longer is a circle, which the system tells
        match = _DESCRIPTORS.fullmatch(os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name)))
        if match:
            return int(match[1])
        if not os.path.islink(name):
            return None
        name = os.path.join(os.path.dirname(name), os.readlink(name))
    return None


def _write(path: Name, data: bytes) -> None:
    number = descriptor(path)
    if number is not None:  # opened anew, a file that the shell appends to would be overwritten
        with os.fdopen(os.dup(number), "wb") as stream:
            stream.write(data)
        return
    there = _status(path)
    if there is not None and not stat.S_ISREG(there.st_mode):
        with open(path, "wb") as stream:
            stream.write(data)
        return
    target = os.path.realpath(path)
    if there is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is write-protected")
    if there is not None and there.st_nlink > 1:
        _in_place(target, data)
        return
    try:
        _replace(target, data, there)
    except OSError as error:
        if there is None or error.errno not in _NO_NEIGHBOUR:
            raise
        _in_place(target, data)


def _status(path: Name) -> os.stat_result | None:
    """What is there, behind links; None where nothing is."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _replace(target: str, data: bytes, there: os.stat_result | None) -> None:
    neighbour = Path(target).parent / f".{uuid.uuid4().hex}.tmp"
    try:
        neighbour.write_bytes(data)
        if there is not None:
            os.chmod(neighbour, stat.S_IMODE(there.st_mode))
        os.replace(neighbour, target)
    finally:
        neighbour.unlink(missing_ok=True)


def _in_place(target: str, data: bytes) -> None:
    with open(target, "r+b") as stream:
        stream.write(data)
        stream.truncate()
