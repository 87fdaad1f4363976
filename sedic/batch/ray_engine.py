"""The same run on Ray: actors that keep their models loaded take pictures from any file system and write there.

What may happen to a cluster costs its pictures' time alone. A task whose actor or node is lost is done again by another
one; as a picture always becomes the same bytes and its file appears whole, doing it twice changes nothing. A picture
that takes its actor with it every time is given up with a sentence, its neighbours in the same block are not.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SedicError
from ..hashes import sha256
from ..progress import tell
from . import places
from .parquet import ParquetManifest
from .places import Where
from .plan import Item, Plan
from .run import Summary, Tell
from .work import Result, Work, do, fingerprint, foreign
from .workers import DIED

BLOCK = 100  # pictures of one task at most: what a lost worker has to do again
RETRIES = 2  # of a task whose actor or node was lost
Row = dict[str, Any]


@dataclass
class RayRun:
    """A run on a cluster: the one that ``RAY_ADDRESS`` names, or one of this machine's.

    Attributes:
        work: what is done with every picture.
        plan: of what; sources are absolute paths that every node has, or addresses.
        folder: receives files and manifest; likewise.
        jobs: actors; None for as many as the cluster has cores, or GPUs.
        device: of each: ``cuda`` asks Ray for a GPU.
        force: whether files that no earlier run wrote may be replaced.
        told: is called with the source and the sentence of each that failed.
    """

    work: Work
    plan: Plan
    folder: Where
    jobs: int | None = None
    device: str = "cpu"
    force: bool = False
    told: Tell = lambda source, sentence: None

    def start(self) -> Summary:
        """Does it.

        Raises:
            SedicError: Ray, the places, the manifest or the models cannot be used; what is done stays done.
        """
        started = time.monotonic()
        _connect()
        if isinstance(self.folder, Path):
            self.folder = self.folder.absolute()
        self._manifest = ParquetManifest(self.folder, self.work.command)
        self._summary = summary = Summary()
        settings = self.work.settings()
        try:
            for item, sentence in self.plan.refused:
                self._take(Result(error=sentence).row(str(item.source), item.output, fingerprint(settings, None)))
            there = set(places.names(self.folder))
            tasks = [self._task(item, item.output in there) for item in self.plan.items]
            self._manifest.plan([item.output for item in self.plan.items if item.output not in there])
            summary.jobs = min(self.jobs or self._actors(), max(1, len(tasks)))
            size = max(1, min(BLOCK, len(tasks) // (4 * summary.jobs)))
            left, before = self._pass(tasks, size, 2, settings), len(tasks)
            while len(left) < before:  # those whose blocks were given up, each alone, as long as that makes any
                left, before = self._pass(left, 1, 1, settings), len(left)
            for task in left:
                self._take(Result(error=DIED).row(task["source"], task["output"], fingerprint(settings, None)))
        finally:
            self._manifest.flush()
        summary.seconds = time.monotonic() - started
        return summary

    def _task(self, item: Item, there: bool) -> Row:
        """What an actor has to know of an item."""
        source = item.source.absolute() if isinstance(item.source, Path) else item.source
        done = self._manifest.done.get(item.output)
        ours = self.force or not there or (item.output in self._manifest.planned and not done)
        known = self._manifest.written.get(item.output, ())
        return {
            "source": str(source),
            "output": item.output,
            "semantics": str(item.semantics.absolute() if isinstance(item.semantics, Path) else item.semantics or ""),
            "before": json.dumps({"ours": ours, "known": known, "done": done if there else None}),
        }

    def _pass(self, tasks: list[Row], size: int, ahead: int, settings: Mapping[str, Any]) -> list[Row]:
        """Does tasks, ``size`` to a block, ``ahead`` blocks to an actor; returns those of blocks that were given up."""
        if not tasks:
            return []
        left = {task["output"]: task for task in tasks}
        for row in self._rows(tasks, size, ahead, settings):
            if left.pop(row["output"], None):
                self._take(row)
        return list(left.values())

    def _rows(self, tasks: Sequence[Row], size: int, ahead: int, settings: Mapping[str, Any]) -> Iterator[Row]:
        import pyarrow
        import ray

        context = ray.data.DataContext.get_current()
        before = context.max_errored_blocks, context.enable_progress_bars
        context.max_errored_blocks, context.enable_progress_bars = -1, False
        try:
            blocks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
            data = ray.data.from_arrow([pyarrow.Table.from_pylist(list(block)) for block in blocks])
            made = data.map_batches(
                Actor,
                batch_size=None,  # a block at a time
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=self._summary.jobs, max_tasks_in_flight_per_actor=ahead
                ),
                fn_constructor_args=(self.work.spread(self._summary.jobs), self.device, str(self.folder), settings),
                num_cpus=1,
                num_gpus=1 if self.device.startswith("cuda") else 0,
                ray_remote_args_fn=lambda: {"max_task_retries": RETRIES},  # else for ever, also what kills its actor
            )
            for batch in made.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from map(json.loads, batch["row"].to_pylist())
        finally:
            context.max_errored_blocks, context.enable_progress_bars = before

    def _actors(self) -> int:
        import ray

        found = ray.cluster_resources()
        return max(1, int(found.get("GPU" if self.device.startswith("cuda") else "CPU", 0)))

    def _take(self, row: Row) -> None:
        """Counts a row, and keeps it, unless it says that nothing had to be done."""
        summary = self._summary
        if row.pop("skipped", False):
            summary.skipped += 1
        else:
            memory = row.pop("memory", 0)
            self._manifest.add(row)
            summary.count(row, memory)
            if row["error"]:
                self.told(row["source"], row["error"])
        tell("pictures", summary.total, len(self.plan.items) + len(self.plan.refused))


class Actor:
    """One worker of a cluster."""

    def __init__(self, work: Work, device: str, folder: str, settings: Mapping[str, Any]) -> None:
        """Loads the models; where they cannot be, each picture says so."""
        self.folder, self.settings, self.failure = places.where(folder), settings, ""
        try:
            self.maker = work.begin("cuda" if device.startswith("cuda") else device)
        except SedicError as error:
            self.failure = str(error)

    def __call__(self, block: Any) -> Any:
        """A block of tasks to one of rows, as JSON."""
        import pyarrow

        return pyarrow.table({"row": [json.dumps(self._row(task)) for task in block.to_pylist()]})

    def _row(self, task: Row) -> Row:
        before = json.loads(task["before"])
        semantics = places.where(task["semantics"]) if task["semantics"] else None
        with places.brought_here(semantics) as here:
            settings = fingerprint(self.settings, here)
            target, done = places.inside(self.folder, task["output"]), before["done"]
            same = done and done["settings"] == settings and done["output_sha256"] == places.digest(target)
            if same and done["source_sha256"] == places.digest(places.where(task["source"])):
                return {"output": task["output"], "skipped": True}
            result = self._made(task, here)
        if result.made is not None and not before["ours"]:
            there = places.digest(target)
            if there not in (None, sha256(result.made.data), *before["known"]):
                result.made, result.error = None, foreign(target)
        if result.made is not None:
            try:
                places.write(target, result.made.data)
            except SedicError as error:
                result.made, result.error = None, str(error)
        return result.row(task["source"], task["output"], settings) | {"memory": result.peak}

    def _made(self, task: Row, semantics: Path | None) -> Result:
        if self.failure:
            return Result(error=self.failure)
        source = places.where(task["source"])
        return do(self.maker, task["source"], lambda: places.read(source), semantics)


def _connect() -> None:
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise SedicError(f"--engine ray needs {error.name}; install it: pip install 'sedic[ray]'.") from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise SedicError(f"No Ray cluster can be used ({said}); check RAY_ADDRESS, or unset it.") from error
