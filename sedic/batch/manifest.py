"""What a run remembers: a line of JSON for every picture, appended as it is done, in the folder that it writes.

The first line says what the file is; each other one has ``source``, ``output``, ``bytes``, ``bpp``, ``width``,
``height``, ``seconds``, ``notes`` and ``error`` (null where there was none), and the hashes by which a later run knows
that it is done: ``source_sha256``, ``settings`` and ``output_sha256``. A row is written before its file takes its
name: of a run that was killed between the two, the file is missing and is made again; never is a file there that no row
knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import SedicError

NAME = "manifest.jsonl"
VERSION = 1


class ManifestError(SedicError):
    """A manifest cannot be read, is none, or is of another version or command."""


class Manifest:
    """The manifest of one folder and command.

    Attributes:
        path: the file.
        torn: lines that are no JSON, as a run leaves one that is killed while it writes.
    """

    def __init__(self, folder: Path, command: str) -> None:
        """Reads what is there; nothing is written yet.

        Args:
            folder: that the run writes.
            command: ``encode`` or ``decode``.

        Raises:
            ManifestError: see the class.
        """
        self.path, self.torn = folder / NAME, 0
        self._command = command
        self._done: dict[str, dict[str, Any]] = {}
        self._written: dict[str, set[str]] = {}
        self._new, self._ends_whole = True, True
        for row in self._read():
            self._learn(row)

    def done(self, output: str) -> dict[str, Any] | None:
        """The newest row of an output that was made; None where there is none."""
        return self._done.get(output)

    def wrote(self, output: str, sha256: str) -> bool:
        """Whether a run wrote these bytes there."""
        return sha256 in self._written.get(output, ())

    def add(self, row: dict[str, Any]) -> None:
        """Appends a row.

        Raises:
            ManifestError: it cannot be written; its ``__cause__`` is what the system said.
        """
        begin = _line(self._header()) if self._new else b"" if self._ends_whole else b"\n"
        rest, self._ends_whole = memoryview(begin + _line(row)), False
        try:
            with self.path.open("wb" if self._new else "ab", buffering=0) as file:
                self._new = False
                while rest:  # a disk that gets full takes a part, and says why it cannot the next time
                    rest = rest[file.write(rest) :]
            self._ends_whole = True
        except OSError as error:
            raise ManifestError(
                f"The manifest {self.path} cannot be written ({error.strerror}); free some space, or make it "
                "writable, and run the same again: it continues."
            ) from error
        self._learn(row)

    def _header(self) -> dict[str, Any]:
        return {"sedic": "manifest", "version": VERSION, "command": self._command}

    def _learn(self, row: dict[str, Any]) -> None:
        if not row.get("error"):
            self._done[str(row["output"])] = row
            self._written.setdefault(str(row["output"]), set()).add(str(row.get("output_sha256")))

    def _read(self) -> Iterator[dict[str, Any]]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ManifestError(f"The manifest {self.path} cannot be read ({error.strerror}); mend that.") from error
        if _line(self._header()).startswith(data):  # empty, or killed within its first line
            return
        self._new, self._ends_whole = False, data.endswith(b"\n")
        for number, line in enumerate(data.splitlines()):
            row = _parsed(line)
            if number == 0:
                self._check(row)
            elif row is None or "output" not in row:
                self.torn += 1
            else:
                yield row

    def _check(self, header: dict[str, Any] | None) -> None:
        if header is None or header.get("sedic") != "manifest":
            raise ManifestError(f"{self.path} is no manifest of sedic's; name another folder, or move it away.")
        if header.get("version") != VERSION:
            raise ManifestError(
                f"{self.path} is a manifest of version {header.get('version')}, and this sedic writes {VERSION}; "
                "update sedic, or name another folder."
            )
        if header.get("command") != self._command:
            raise ManifestError(
                f"{self.path} is of sedic {header.get('command')}, not {self._command}; name another folder."
            )


def _line(row: dict[str, Any]) -> bytes:
    text = json.dumps(row, ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # a file's name that is no text
        return json.dumps(row).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
