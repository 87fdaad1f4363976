"""Several pictures: what ``sedic encode`` and ``sedic decode`` do with folders, patterns and more than one file."""

from __future__ import annotations

import argparse
import multiprocessing
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SedicError
from . import files
from .bars import Bars
from .speech import Speech
from .switches import settings_from

if TYPE_CHECKING:
    from ..batch.encoding import Encoding
    from ..batch.places import Where
    from ..batch.plan import Plan
    from ..batch.run import Summary, Tell
    from ..batch.work import Work

SETTINGS = ("models", "precision", "lora", "until", "weights")  # of decode, beside its switches
NO_SETTINGS = (*SETTINGS, "file", "output", "force", "json", "stages", "device", "jobs", "engine", "run", "typed")
ENGINES = ("processes", "ray")
MOST_TOLD = 20  # failures that are told one by one; the manifest has all


@dataclass(frozen=True)
class Several:
    """What a command does with several files: the kind of work, and what its inputs and outputs are."""

    work: Work
    inputs: list[Where]
    endings: frozenset[str]
    ending: str
    semantics: Where | None = None


def add_switches(parser: argparse.ArgumentParser) -> None:
    """Adds the options that only several pictures have."""
    parser.add_argument(
        "--jobs", type=int, metavar="N",
        help="workers, of several pictures; default: one a core as far as memory reaches, or one a GPU of --device",
    )  # fmt: skip
    parser.add_argument(
        "--engine", choices=ENGINES, default=ENGINES[0],
        help="of several pictures: processes here, or actors on the Ray cluster of RAY_ADDRESS; default: %(default)s",
    )  # fmt: skip


def several(names: Sequence[files.Name]) -> bool:
    """Whether these are more than one file.

    Raises:
        SedicError: standard input is one of several.
    """
    from ..batch import plan

    places = [name for name in names if not isinstance(name, files.Standard)]
    if len(places) < len(names):
        if len(names) > 1:
            raise SedicError("Standard input (-) holds one picture and cannot be one of several; name files alone.")
        return False
    return plan.several(places)


def tell_no_use(options: argparse.Namespace) -> None:
    """A note for options that only several pictures have."""
    for option, chosen in (("--jobs", options.jobs is not None), ("--engine", options.engine != ENGINES[0])):
        if chosen:
            warnings.warn(f"{option} had no use: there is one picture.", stacklevel=2)


def encoding(options: argparse.Namespace, how: Encoding) -> Several:
    """What ``sedic encode`` does with several pictures.

    Raises:
        SedicError: options that several pictures cannot have.
    """
    from ..batch.pace import Pace
    from ..picture import picture_endings

    if isinstance(options.semantics, Path) and not options.semantics.is_dir():
        raise SedicError(
            f"--semantics {options.semantics} is no folder; of several pictures name the folder that holds a NAME.json "
            "for each NAME.png."
        )
    if how.endpoint and how.endpoint.requests_per_minute and options.engine == ENGINES[0]:
        pace = Pace(how.endpoint.requests_per_minute, multiprocessing.get_context("spawn"))
        how = replace(how, pace=pace)
    return Several(how, options.image, picture_endings(), ".sedic", options.semantics)


def decoding(options: argparse.Namespace) -> Several:
    """What ``sedic decode`` does with several files.

    Raises:
        SedicError: options that several files cannot have.
    """
    from ..batch.decoding import Decoding
    from ..batch.plan import FILES
    from ..codec import default_settings
    from ..restoration.diffusers_backend import lora

    if options.stages:
        raise SedicError("--stages keeps the stages of one picture; decode that one alone, or leave it out.")
    for path, strength in options.lora:
        lora.check(path, strength)
    chosen = {name: value for name, value in vars(options).items() if name not in NO_SETTINGS}
    switched(chosen, default_settings(options.models))  # which tells what is out of range
    how = Decoding(**{name: getattr(options, name) for name in SETTINGS}, switches=chosen, switch=switched)
    return Several(how, options.file, FILES, ".png")


def switched(switches: Mapping[str, Any], settings: Any) -> Any:
    """The decoder's settings with the switches that a person chose."""
    return settings_from(argparse.Namespace(**switches), settings)


def run(what: Several, options: argparse.Namespace, speech: Speech) -> None:
    """Does it, and tells of it.

    Raises:
        SedicError: nothing can be done, or a picture failed.
    """
    from ..batch.plan import make_plan
    from ..progress import watched_by

    devices = (options.device or "cpu").split(",")
    _check(what, options, devices)
    plan = make_plan(what.inputs, what.endings, options.output, what.ending, what.semantics)
    for note in plan.notes:
        warnings.warn(note, stacklevel=2)
    with Bars() as bars, watched_by(bars):
        summary, manifest = _done(what.work, plan, options, devices, _teller(speech))
    speech.say(_line(summary, what.work.command, manifest))
    speech.json(_facts(summary, options.output, manifest))
    if summary.failed:
        raise SedicError(
            f"{summary.failed} of {summary.total} pictures failed; {manifest} says why, and the same command tries "
            "them again."
        )


def _done(work: Work, plan: Plan, options: argparse.Namespace, devices: list[str], told: Tell) -> tuple[Summary, Where]:
    """Does it with the engine that was asked for; where the manifest is comes with it."""
    if options.engine == "ray":
        from ..batch import parquet
        from ..batch.places import inside
        from ..batch.ray_engine import RayRun

        run = RayRun(work, plan, options.output, options.jobs, devices[0], options.force, told)
        return run.start(), inside(options.output, parquet.FOLDER)
    from ..batch import manifest
    from ..batch.run import Run

    return (
        Run(work, plan, options.output, options.jobs, devices, options.force, told).start(),
        options.output / manifest.NAME,
    )


def _teller(speech: Speech) -> Tell:
    """Tells the first failures as they come, above the bar."""
    from tqdm import tqdm

    told: list[str] = []

    def tell(source: str, sentence: str) -> None:
        told.append(source)
        if len(told) <= MOST_TOLD:
            with tqdm.external_write_mode():
                speech.error(sentence if sentence.startswith(source) else f"{source}: {sentence}")

    return tell


def _check(what: Several, options: argparse.Namespace, devices: list[str]) -> None:
    from ..codec import require_device

    output = options.output
    if isinstance(output, files.Standard):
        raise SedicError("Several pictures cannot go to standard output; name a folder.")
    if options.jobs is not None and options.jobs < 1:
        raise SedicError(f"--jobs is {options.jobs}; it must be 1 or more.")
    if isinstance(output, Path):
        files.check_folder(output)
    if options.engine == "ray":
        if len(devices) > 1:
            raise SedicError(f"--device {options.device} names several, which Ray chooses itself; write cuda, or cpu.")
        return  # the devices are those of the cluster's machines
    files.require_here(output, what.semantics, *what.inputs)
    for device in devices:
        require_device(device)


def _line(summary: Summary, command: str, manifest: Where) -> str:
    parts = [f"{summary.done} {command}d"]
    parts += [f"{summary.skipped} done before"] if summary.skipped else []
    parts += [f"{summary.failed} failed"] if summary.failed else []
    size = f"; {summary.bytes} bytes, {summary.bytes * 8 / summary.pixels:.4f} bpp" if summary.done else ""
    noted = f"; notes on {summary.noted}" if summary.noted else ""
    return f"{', '.join(parts)} in {summary.seconds:.1f} s{size}{noted}: {manifest}"


def _facts(summary: Summary, output: Where, manifest: Where) -> dict[str, Any]:
    names = ("done", "skipped", "failed", "noted", "bytes", "jobs", "memory")
    return {
        "output": str(output),
        "manifest": str(manifest),
        **{name: getattr(summary, name) for name in names},
        "bpp": summary.bytes * 8 / summary.pixels if summary.pixels else None,
        "seconds": round(summary.seconds, 3),
        "loading_seconds": round(summary.loading, 3),
        "working_seconds": round(summary.working, 3),
        "errors": summary.errors,
    }
