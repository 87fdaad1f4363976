"""Files on this machine and elsewhere: ``s3://``, ``gs://``, ``hdfs://`` and whatever else pyarrow reads."""

from __future__ import annotations

import os
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from .. import output
from ..errors import SedicError
from ..hashes import file_sha256, sha256
from ..semantics import mask_names

WHOLE = ("s3", "gcs", "abfs")  # stores whose objects appear whole or not at all


class PlaceError(SedicError):
    """A place cannot be reached, or what is there cannot be read."""


class Address(str):
    """A place that is not on this machine, as ``s3://bucket/folder``."""

    __slots__ = ()


Where = Path | Address


def where(text: str) -> Where:
    """What a person's text names: an address, or a path."""
    scheme, found, _ = text.partition("://")
    return Address(text) if found and scheme.isalnum() else Path(text)


def read(where: Where) -> bytes:
    """A file's bytes; OSError where it cannot be read."""
    if isinstance(where, Path):
        return where.read_bytes()
    files, path = filesystem(where)
    with files.open_input_stream(path) as stream:
        return bytes(stream.read())


def digest(where: Where) -> str | None:
    """The SHA-256 of a file's bytes; None where it cannot be read."""
    if isinstance(where, Path):
        return file_sha256(where)
    try:
        return sha256(read(where))
    except OSError:
        return None


def write(where: Where, data: bytes) -> None:
    """Writes a file, whole or not at all, with the folders around it.

    Raises:
        SedicError: it cannot be written.
    """
    if isinstance(where, Path):
        output.make_folder(where.parent)
        output.write(where, data)
        return
    files, path = filesystem(where)
    try:
        whole = files.type_name in WHOLE
        first = path if whole else f"{posixpath.dirname(path)}/.{uuid.uuid4().hex}.tmp"
        if not whole:
            files.create_dir(posixpath.dirname(path), recursive=True)
        with files.open_output_stream(first) as stream:
            stream.write(data)
        if not whole:
            files.move(first, path)
    except OSError as error:
        raise output.OutputError(f"{where} cannot be written ({error}); name another place.") from error


def inside(folder: Where, name: str) -> Where:
    """A file in a folder, by its name with ``/``."""
    return folder / name if isinstance(folder, Path) else Address(f"{folder.rstrip('/')}/{name}")


def names(folder: Where) -> list[str]:
    """All files below a folder, relative to it, with ``/``, in order; none where there is no folder.

    Raises:
        PlaceError: it cannot be read.
    """
    if isinstance(folder, Path):
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    from pyarrow.fs import FileSelector, FileType

    files, path = filesystem(folder)
    try:
        found = files.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
    except OSError as error:
        raise PlaceError(f"{folder} cannot be read ({error}); check the address, and who may read it.") from error
    start = PurePosixPath(path.strip("/"))
    files_there = (PurePosixPath(info.path.strip("/")) for info in found if info.type == FileType.File)
    return sorted(there.relative_to(start).as_posix() for there in files_there)


def filesystem(address: Address) -> tuple[Any, str]:
    """pyarrow's file system of an address, and the path in it.

    Raises:
        PlaceError: pyarrow is missing, or does not know it.
    """
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    files, start = _opened(f"{scheme}://{host}/")
    return files, posixpath.join(start, path) if start else f"/{path}" if not host else path


@lru_cache(maxsize=16)
def _opened(root: str) -> tuple[Any, str]:
    try:
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem
    except ModuleNotFoundError as error:
        raise PlaceError(f"{root} needs pyarrow; install it: pip install 'sedic[ray]'.") from error
    try:
        files, start = FileSystem.from_uri(root)
    except (ArrowException, OSError) as error:
        raise PlaceError(f"{root} cannot be reached ({error}); check the address.") from error
    return files, str(start)


@contextmanager
def brought_here(semantics: Where | None) -> Iterator[Path | None]:
    """A Semantics JSON, with the masks that it names, as files of this machine."""
    if semantics is None or isinstance(semantics, Path):
        yield semantics
        return
    with TemporaryDirectory() as folder:
        path = Path(folder, "semantics.json")
        try:
            text = read(semantics)
            path.write_bytes(text)
        except OSError:
            text = b""  # its reader tells what is wrong with it
        for name in mask_names(text):
            if isinstance(name, str) and not os.path.isabs(name) and ".." not in PurePosixPath(name).parts:
                _bring(Address(f"{posixpath.dirname(semantics)}/{name}"), path.parent / name)
        yield path


def _bring(source: Address, target: Path) -> None:
    try:
        data = read(source)
    except OSError:
        return  # the reader of the Semantics says that it is missing
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
