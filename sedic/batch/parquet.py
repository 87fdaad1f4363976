"""The manifest of runs on a cluster: Parquet files in the folder ``manifest`` of the output.

A run writes first what it is going to do (``plan-RUN.parquet``: outputs that were not there before), then rows as they
come, many to a file (``rows-RUN-N.parquet``), with the fields of :mod:`.manifest`. An output that some plan names and
no row does was made by a run that ended meanwhile; every other file that no row knows is somebody else's.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from typing import Any

from . import places
from .manifest import VERSION, ManifestError
from .places import Where

FOLDER = "manifest"
ROWS, SECONDS = 2000, 60  # of one file at most, whichever comes first
KEY = b"sedic"
HASHES = ("source_sha256", "settings", "output_sha256")  # of a row; there may be ten million, so no more is kept


class ParquetManifest:
    """What runs on clusters remember of one output folder.

    Attributes:
        done: of the newest row of each output that was made, what says whether it is done: :data:`HASHES`.
        written: hashes of all that runs wrote, by output.
        planned: outputs that some run was going to write.
    """

    def __init__(self, folder: Where, command: str) -> None:
        """Reads what is there.

        Raises:
            SedicError: it cannot be read, or is of another version or command.
        """
        self.done: dict[str, dict[str, str]] = {}
        self.written: dict[str, tuple[str, ...]] = {}
        self.planned: set[str] = set()
        self._folder, self._command = places.inside(folder, FOLDER), command
        self._run, self._files = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}", 0
        self._waiting: list[dict[str, Any]] = []
        self._since = time.monotonic()
        for name in places.names(self._folder):  # names begin with their time: the newest come last
            if name.endswith(".parquet"):
                for row in self._read(places.inside(self._folder, name)):
                    self._learn(row, name.startswith("plan-"))

    def plan(self, outputs: list[str]) -> None:
        """Writes which outputs, that are not there yet, this run is going to write."""
        self.planned |= set(outputs)
        if outputs:
            self._write(f"plan-{self._run}.parquet", [{"output": output} for output in outputs])

    def add(self, row: dict[str, Any]) -> None:
        """Takes a row, and writes what waits where it is time to."""
        self._learn(row, False)
        self._waiting.append(row)
        if len(self._waiting) >= ROWS or time.monotonic() - self._since > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that wait."""
        if self._waiting:
            self._write(f"rows-{self._run}-{self._files:06}.parquet", self._waiting)
            self._files += 1
        self._waiting, self._since = [], time.monotonic()

    def _learn(self, row: dict[str, Any], planned: bool) -> None:
        if planned:
            self.planned.add(row["output"])
        elif not row["error"]:
            source, settings, made = (row[name] for name in HASHES)
            self.done[row["output"]] = dict(zip(HASHES, (source, sys.intern(settings), made), strict=True))
            self.written[row["output"]] = (*self.written.get(row["output"], ()), made)

    def _write(self, name: str, rows: list[dict[str, Any]]) -> None:
        import pyarrow
        from pyarrow import parquet

        text, number = pyarrow.string(), pyarrow.float64()
        kinds = {"bytes": pyarrow.int64(), "width": pyarrow.int64(), "height": pyarrow.int64(), "bpp": number}
        kinds |= {"seconds": number, "notes": pyarrow.list_(text)}
        said = json.dumps({"version": VERSION, "command": self._command}).encode()
        schema = pyarrow.schema([(key, kinds.get(key, text)) for key in rows[0]], metadata={KEY: said})
        sink = pyarrow.BufferOutputStream()
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
        places.write(places.inside(self._folder, name), sink.getvalue().to_pybytes())

    def _read(self, where: Where) -> list[dict[str, Any]]:
        import pyarrow
        from pyarrow import parquet

        try:
            table = parquet.read_table(pyarrow.BufferReader(places.read(where)))
            said = json.loads((table.schema.metadata or {})[KEY])
        except (OSError, ValueError, KeyError) as error:  # pyarrow's own are of the first two
            raise ManifestError(f"{where} is no manifest of sedic's ({error}); name another folder.") from error
        if said != {"version": VERSION, "command": self._command}:
            raise ManifestError(
                f"{where} is of sedic {said.get('command')}, version {said.get('version')}, not {self._command}, "
                f"version {VERSION}; update sedic, or name another folder."
            )
        return list(table.to_pylist())
