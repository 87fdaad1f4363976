"""One run over a plan on this machine: skips what is done, hands out the rest, writes what comes back."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import output
from ..errors import SedicError
from ..progress import tell
from .manifest import Manifest, file_sha256, sha256
from .plan import Item, Plan
from .work import Result, Work, fingerprint
from .workers import Crew, default_jobs

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
        working: seconds of all workers together.
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
    working: float = 0.0
    jobs: int = 0
    memory: int = 0
    errors: list[str] = field(default_factory=list)

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
            self._fail(item, Result(error=sentence))
        todo = self._todo()
        first = next(todo, None)
        if first is not None:
            summary.jobs = self.jobs or default_jobs(self.work, self.devices, len(self.plan.items) - summary.skipped)
            with Crew(self.work, summary.jobs, self.devices) as crew:
                crew.ready()
                for item, result in crew.results(_chain(first, todo)):
                    self._take(item, result)
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
                same = row["settings"] == fingerprint(self._settings, item)
                if same and row["source_sha256"] == file_sha256(item.source):
                    self._summary.skipped += 1
                    continue
            if self._foreign(target, item.output, there):
                self._fail(item, Result(error=f"{target} is there and no run wrote it as it is; name another folder, "
                                              "or add --force to replace it."))  # fmt: skip
                continue
            yield item

    def _foreign(self, target: Path, name: str, there: str | None) -> bool:
        return not self.force and os.path.lexists(target) and not (there and self._manifest.wrote(name, there))

    def _take(self, item: Item, result: Result) -> None:
        """Writes what a worker made; its row first, see :mod:`.manifest`."""
        summary = self._summary
        summary.working += result.seconds
        summary.memory = max(summary.memory, result.peak)
        if result.made is None:
            self._fail(item, result)
            return
        target = self.folder / item.output
        there = file_sha256(target) if os.path.lexists(target) else None
        if there != sha256(result.made.data) and self._foreign(target, item.output, there):
            result.made, result.error = (
                None,
                f"{target} was written meanwhile, and not by this run; it is left as it is.",
            )
            self._fail(item, result)
            return
        self._manifest.add(result.row(str(item.source), item.output, fingerprint(self._settings, item)))
        try:
            output.make_folder(target.parent)
            output.write(target, result.made.data)
        except SedicError as error:
            made, result.made, result.error = result.made, None, str(error)
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in FULL:
                raise RunError(
                    f"{target} cannot be written ({cause.strerror}); free {len(made.data)} bytes and more, and run the "
                    "same again: it continues."
                ) from error
            self._fail(item, result)
            return
        summary.done += 1
        summary.noted += bool(result.notes)
        summary.bytes += result.made.coded
        summary.pixels += result.made.width * result.made.height
        self._tell()

    def _fail(self, item: Item, result: Result) -> None:
        self._summary.failed += 1
        self._summary.errors.append(f"{item.source}: {result.error}")
        self._manifest.add(result.row(str(item.source), item.output, fingerprint(self._settings, item)))
        self.told(str(item.source), result.error)
        self._tell()

    def _tell(self) -> None:
        tell("pictures", self._summary.total, len(self.plan.items) + len(self.plan.refused))


def _chain(first: Item, others: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from others
