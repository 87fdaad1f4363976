"""One run over a plan on this machine: skips what is done, hands out the rest, writes what comes back."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import output
from ..errors import SedicError
from ..hashes import file_sha256, sha256
from ..progress import tell
from . import places
from .manifest import Manifest
from .plan import Item, Plan
from .work import Result, Work, fingerprint, foreign
from .workers import Crew, default_jobs

MOST_ERRORS = 1000  # that a summary holds; the manifest has all
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
Tell = Callable[[str, str], None]


class RunError(SedicError):
    """A run ended before all was done."""


@dataclass
class Summary:
    """What a run did.

    Attributes:
        done: pictures that were made.
        skipped: that were done before.
        failed: that could not be; those that were refused before the work count.
        noted: those done with notes.
        bytes: of the ``.sedic`` files that were made or read.
        pixels: of their pictures.
        seconds: of the whole run.
        loading: seconds of these until all workers had their models, and until they had ended.
        working: seconds of all workers together, with pictures.
        processor: seconds of the processor's in these.
        jobs: workers.
        memory: most bytes that a worker held.
    """

    done: int = 0
    skipped: int = 0
    failed: int = 0
    noted: int = 0
    bytes: int = 0
    pixels: int = 0
    seconds: float = 0.0
    loading: float = 0.0
    working: float = 0.0
    processor: float = 0.0
    jobs: int = 0
    memory: int = 0
    errors: list[str] = field(default_factory=list)

    def count(self, row: dict[str, Any], memory: int) -> None:
        """Counts a row of the manifest; ``memory`` is the most that its worker held."""
        self.working += row["seconds"]
        self.memory = max(self.memory, memory)
        if row["error"]:
            self.failed += 1
            if len(self.errors) < MOST_ERRORS:
                self.errors.append(f"{row['source']}: {row['error']}")
        else:
            self.done += 1
            self.noted += bool(row["notes"])
            self.bytes += row["bytes"]
            self.pixels += row["width"] * row["height"]

    @property
    def total(self) -> int:
        """All pictures of the run."""
        return self.done + self.skipped + self.failed


@dataclass
class Run:
    """A run.

    Attributes:
        work: what is done with every picture.
        plan: of what.
        folder: receives the files and the manifest.
        jobs: workers; None for as many as fit.
        devices: that they take in turn.
        force: whether files that no earlier run wrote may be replaced.
        told: is called with the source and the sentence of each that failed, as it fails.
    """

    work: Work
    plan: Plan
    folder: Path
    jobs: int | None = None
    devices: Sequence[str] = ("cpu",)
    force: bool = False
    told: Tell = lambda source, sentence: None

    def start(self) -> Summary:
        """Does it.

        Raises:
            SedicError: the manifest, the models, the devices or the disk cannot be used; what is done stays done.
        """
        started = time.monotonic()
        self._manifest = Manifest(self.folder, self.work.command)
        self._settings = self.work.settings()
        self._summary = summary = Summary()
        output.make_folder(self.folder)
        for item, sentence in self.plan.refused:
            self._fail(item, sentence)
        todo = self._todo()
        first = next(todo, None)
        if first is not None:
            summary.jobs = self.jobs or default_jobs(self.work, self.devices, len(self.plan.items) - summary.skipped)
            with Crew(self.work, summary.jobs, self.devices) as crew:
                crew.ready()
                summary.loading = time.monotonic() - started
                for item, result in crew.results(_chain(first, todo)):
                    self._take(item, result)
                worked = time.monotonic()
            summary.loading += time.monotonic() - worked
        summary.seconds = time.monotonic() - started
        self._tell()
        return summary

    def _todo(self) -> Iterator[Item]:
        """The items that are neither done nor in the way of files that are not ours."""
        for item in self.plan.items:
            self._tell()
            target = self.folder / item.output
            there = file_sha256(target) if os.path.lexists(target) else None
            row = self._manifest.done(item.output)
            if there and row and there == row["output_sha256"]:
                same = row["settings"] == fingerprint(self._settings, item.semantics)
                if same and row["source_sha256"] == places.digest(item.source):
                    self._summary.skipped += 1
                    continue
            if self._foreign(target, item.output, there):
                self._fail(item, foreign(target))
                continue
            yield item

    def _foreign(self, target: Path, name: str, there: str | None) -> bool:
        return not self.force and os.path.lexists(target) and not (there and self._manifest.wrote(name, there))

    def _take(self, item: Item, result: Result) -> None:
        """Writes what a worker made; its row first, see :mod:`.manifest`."""
        target, made = self.folder / item.output, result.made
        if made is not None:
            there = file_sha256(target) if os.path.lexists(target) else None
            if there != sha256(made.data) and self._foreign(target, item.output, there):
                result.made, result.error = None, foreign(target)
        row = self._keep(item, result)
        if result.made is not None:
            try:
                output.make_folder(target.parent)
                output.write(target, result.made.data)
            except SedicError as error:
                cause = error.__cause__
                if isinstance(cause, OSError) and cause.errno in FULL:
                    raise RunError(
                        f"{target} cannot be written ({cause.strerror}); free some space, and run the same again: it "
                        "continues."
                    ) from error
                result.made, result.error = None, str(error)
                row = self._keep(item, result)
        self._summary.processor += result.processor
        self._count(row, result.peak)

    def _fail(self, item: Item, sentence: str) -> None:
        self._count(self._keep(item, Result(error=sentence)), 0)

    def _keep(self, item: Item, result: Result) -> dict[str, Any]:
        row = result.row(str(item.source), item.output, fingerprint(self._settings, item.semantics))
        self._manifest.add(row)
        return row

    def _count(self, row: dict[str, Any], memory: int) -> None:
        self._summary.count(row, memory)
        if row["error"]:
            self.told(row["source"], row["error"])
        self._tell()

    def _tell(self) -> None:
        tell("pictures", self._summary.total, len(self.plan.items) + len(self.plan.refused))


def _chain(first: Item, others: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from others
