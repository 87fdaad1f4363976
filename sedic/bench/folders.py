"""Pictures a second of folders, by the number of workers; what a worker holds; how much of its time it works."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..batch.decoding import Decoding
from ..batch.encoding import Encoding
from ..batch.plan import FILES, make_plan
from ..batch.run import Run, Summary
from ..batch.work import Work
from ..errors import SedicError
from ..picture import picture_endings
from ..threads import busy_cores, cores

PICTURES = 40


def measure(images: Path, pictures: int = PICTURES, jobs: Sequence[int] | None = None, decode: bool = False) -> None:
    """Prints a table; the numbers of workers follow one another, and their models are loaded before the clock runs.

    Where other programs run, pictures a second say little, the last columns more: processor seconds that a picture
    takes, with what this process does for it, and the share of the time in which the workers had a picture. As many
    workers as cores are that many times as quick as one where neither gets worse.

    Raises:
        SedicError: there are no such pictures, or one of them failed.
    """
    chosen = sorted({1, cores()} if jobs is None else set(jobs))
    busy = busy_cores()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in chosen:
            rows.append(("encode", _done(Encoding(), [images], picture_endings(), ".sedic", Path(folder, f"e{number}"),
                                         number, pictures)))  # fmt: skip
        for number in chosen if decode else ():
            rows.append(("decode", _done(Decoding(), [Path(folder, f"e{chosen[0]}")], FILES, ".png",
                                         Path(folder, f"d{number}"), number, pictures)))  # fmt: skip
    print(f"{cores()} cores, {busy:.1f} of them busy with other programs before; {pictures} pictures of {images}")
    print("| | workers | pictures a second | times one worker | memory of a worker | processor s a picture | at work |")
    print("|---|---|---|---|---|---|---|")
    first: dict[str, float] = {}
    for what, summary in rows:
        seconds = summary.seconds - summary.loading
        rate = summary.done / seconds
        one = first.setdefault(what, rate / summary.jobs)
        print(
            f"| {what} | {summary.jobs} | {rate:.2f} | {rate / one:.2f} | {summary.memory / 2**20:.0f} MB | "
            f"{summary.processor / summary.done:.2f} | {summary.working / summary.jobs / seconds:.0%} |"
        )


def _done(
    work: Work, inputs: list[Path], endings: frozenset[str], ending: str, folder: Path, jobs: int, pictures: int
) -> Summary:
    plan = make_plan(inputs, endings, folder, ending)
    if len(plan.items) < pictures:
        raise SedicError(f"{inputs[0]} holds {len(plan.items)} pictures, not {pictures}; name a smaller --pictures.")
    del plan.items[pictures:]
    before = time.process_time()
    summary = Run(work, plan, folder, jobs).start()
    summary.processor += time.process_time() - before
    if summary.failed:
        raise SedicError(summary.errors[0])
    return summary
