"""Restores pictures and measures what came back, each result kept on disk, so that nothing is done twice."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from .. import output
from ..bitstream import SedicFile
from ..codec import default_settings, load_models, settings_of, to_pixels
from ..errors import SedicError
from ..hashes import sha256
from ..metrics.bits import spent
from ..models.embedded import WEIGHTS
from ..picture import read_picture, write_picture
from ..restoration.settings import Settings
from .metrics import Tools
from .scenes import Scene
from .variants import SWAPPED, Case, Coding, Result, donors, made

ORIGINAL, REFERENCE, FINAL = "original", "reference", "final"
_DECODER = ("restoration", "models", "reference")  # packages whose sources and weights decide a picture
_SEDIC = Path(__file__).parents[1]
_KEEPS = {"bytes", "parts", "pixels", "seconds"}
EMBEDDED = "embedded"


@dataclass(frozen=True)
class Task:
    """One picture of a set with the variants that are wanted of it.

    Attributes:
        scene, donor: the picture, in memory or on disk, and whose words it gets where they are swapped.
        folder: where its results are kept.
        variants: names, see :func:`.variants.made` and above.
        file: its ``.sedic`` file, where there is one already.
        decoded: its final picture, where there is one already.
    """

    scene: Any
    donor: Scene | None
    folder: Path
    variants: tuple[str, ...]
    file: Path | None = None
    decoded: Path | None = None


Special = Callable[[Case, Tools], dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """How tasks are done.

    Attributes:
        metrics: keys of :data:`.metrics.METRICS`; None for all.
        device: of models and of metrics.
        special: what is measured beside restored pictures, by the variant's name.
    """

    settings: Settings = field(default_factory=default_settings)
    models: str = EMBEDDED
    device: str = "cpu"
    precision: str = "float32"
    metrics: tuple[str, ...] | None = None
    download: bool = False
    coding: Coding = Coding()
    special: Mapping[str, Special] = field(default_factory=dict)

    def tools(self) -> Tools:
        """What can be measured here."""
        return Tools(self.metrics, self.device, self.download)

    def load(self) -> Any:
        """The models that restore."""
        return load_models(self.models, self.device, self.precision)

    def key(self) -> str:
        """See :func:`fingerprint`."""
        return fingerprint(self.settings, self.models, f"{self.precision} {self.coding}")


def tasks(scenes: Sequence[Any], folder: Path, variants: Sequence[str]) -> list[Task]:
    """A task for each scene, in ``folder``/its name."""
    lent: Sequence[Scene | None] = list(donors(scenes)) if SWAPPED in variants else [None] * len(scenes)
    return [Task(s, donor, folder / s.name, tuple(variants)) for s, donor in zip(scenes, lent, strict=True)]


def fingerprint(settings: Settings, models: str = EMBEDDED, more: str = "") -> str:
    """Of all that decides a restored picture and is not the picture: settings, weights and the decoder's sources."""
    total = hashlib.sha256((repr(settings) + more).encode())
    for package in _DECODER:
        for path in sorted((_SEDIC / package).rglob("*")):
            if path.suffix in (".py", ".safetensors"):
                total.update(path.name.encode() + path.read_bytes())
    if models != EMBEDDED:  # of gigabytes the sizes and times do
        for path in sorted(Path(models).rglob("*")):
            total.update(f"{path.relative_to(models)} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return total.hexdigest()[:16]


def weights_fingerprint() -> str:
    """Of the embedded weights, eight hexadecimal digits: pages say by it what they were measured on."""
    weights = b"".join(path.read_bytes() for path in sorted(WEIGHTS.glob("*.safetensors")))
    return sha256(weights)[:8]


def run(todo: Sequence[Task], workers: int, minutes: float | None, plan: Plan, tools: Tools) -> Iterator[str]:
    """Does what is not done yet; yields a line for each picture.

    Args:
        todo: in the order in which they are begun.
        workers: processes of one thread each; 1 is this process, with its threads.
        minutes: no picture is begun behind them; None does all.
        plan: how.
        tools: what the plan's metrics are in this process.
    """
    key = plan.key()
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    waiting = [task for task in todo if any(not _done(task, name, key, tools, plan.special) for name in task.variants)]
    yield f"{len(todo) - len(waiting)} of {len(todo)} pictures are there already"
    if not waiting:
        return
    if workers == 1:
        models = _Lazy(plan)
        for number, task in enumerate(waiting, 1):
            yield f"{number}/{len(waiting)} {_task(task, key, models, plan, tools, deadline)}"
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (plan,)) as pool:
        futures = [pool.submit(_in_process, task, key, plan, deadline) for task in waiting]
        for done, future in enumerate(as_completed(futures), 1):
            yield f"{done}/{len(waiting)} {future.result()}"


class _Lazy:
    """Models that are loaded when the first picture needs them, and stand for themselves."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._models = plan, None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loaded(), name)

    def loaded(self) -> Any:
        """The models themselves."""
        if self._models is None:
            self._models = self._plan.load()
        return self._models


_here: Any = None


def _begin(plan: Plan) -> None:
    global _here
    import torch

    torch.set_num_threads(1)
    _here = _Lazy(plan), plan.tools()


def _in_process(task: Task, key: str, plan: Plan, deadline: float | None) -> str:
    models, tools = _here
    return _task(task, key, models, plan, tools, deadline)


def _task(task: Task, key: str, models: _Lazy, plan: Plan, tools: Tools, deadline: float | None) -> str:
    if deadline is not None and time.monotonic() > deadline:  # one clock for all processes of a machine
        return f"{task.scene.name}: left out, the time is over"
    started = time.monotonic()
    try:
        perform(task, key, models, plan, tools)
    except SedicError as error:
        raise SedicError(f"{task.scene.name}: {error}") from error
    return f"{task.scene.name}: {time.monotonic() - started:.0f} s"


def perform(task: Task, key: str, models: Any, plan: Plan, tools: Tools) -> None:
    """Makes and keeps what is missing of one picture.

    Args:
        key: of all that decides a picture, see :meth:`Plan.key`.
        models: that restore, or what stands for them.
    """
    missing = [name for name in task.variants if not _done(task, name, key, tools, plan.special)]
    if not missing:
        return
    output.make_folder(task.folder)
    scene = task.scene.opened()
    given = None if task.file is None else SedicFile.read(task.file)
    settings = plan.settings if given is None else settings_of(given, plan.settings)
    donor = None if task.donor is None else task.donor.opened()
    case = Case(scene, donor, models, settings, plan.coding, given)
    for name in missing:
        kept = _kept(task, name, key)
        about = json.loads(str(kept["about"])) if kept else {}
        known = {
            k: v for k, v in (kept or {}).items() if k in _KEEPS or about.get(k) == tools.about.get(k, about.get(k))
        }
        wanted = {k for k in tools.about if k not in known}
        if name in plan.special:
            found = plan.special[name](case, tools)
        elif name == ORIGINAL:
            found = {"pixels": scene.pixels.shape[0] * scene.pixels.shape[1]} | tools.looks(scene.pixels, wanted)
        else:
            pixels = read_picture(picture_of(task, name)) if kept else None
            if pixels is None:
                pixels, facts = _made(task, case, name)
                known |= facts
            found = tools.figures(scene.pixels, pixels, wanted)
        stored: dict[str, Any] = (
            known | found | {"key": key + _inputs(task, name), "about": json.dumps(about | tools.about)}
        )
        data = io.BytesIO()
        np.savez(data, **stored)
        output.write(task.folder / f"{_file(name)}.npz", data.getvalue())


def read(task: Task, name: str) -> dict[str, np.ndarray] | None:
    """What is kept of a variant, by name; None where there is nothing."""
    path = task.folder / f"{_file(name)}.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # a full disk, or somebody else's: done again
        return None


def seconds(kept: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What the stages of a kept variant took."""
    return json.loads(str(kept["seconds"])) if "seconds" in kept else {}


def parts(kept: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Bytes of a kept variant's file by what they are spent on, see :func:`sedic.metrics.bits.spent`."""
    return json.loads(str(kept["parts"])) if "parts" in kept else {}


def picture_of(task: Task, name: str) -> Path:
    """Where a variant's picture is kept."""
    return task.folder / f"{_file(name)}.png"


def _made(task: Task, case: Case, name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """A variant's picture, which is written, and what is known of it: bytes, what they are spent on, seconds."""
    if name == FINAL and task.decoded is not None:
        size = None if task.file is None else task.file.stat().st_size
        result = Result(read_picture(task.decoded, metadata=False), size or 0)
    else:
        if isinstance(case.models, _Lazy) and name != REFERENCE:
            case.models.loaded()  # before anything is timed
        result = made(name, case)
        size = result.bytes
    facts: dict[str, Any] = {"pixels": result.pixels.shape[0] * result.pixels.shape[1]}
    if size is not None:
        facts |= {"bytes": size} | ({"parts": json.dumps(spent(case.file))} if name == FINAL else {})
    if result.pixels.shape != case.scene.pixels.shape:
        raise SedicError(
            f"{case.scene.name} is {_size(case.scene.pixels)} and its {name} picture {_size(result.pixels)}; give "
            "pictures of one size."
        )
    whole = case.seconds.pop("decode", None)  # of this variant alone: the next one may be made of shared stages
    write_picture(picture_of(task, name), result.pixels)
    if name == FINAL and task.decoded is None:
        for j, image in enumerate(case.after[1:], 1):
            write_picture(task.folder / f"object-{j}.png", to_pixels(image))
        facts["seconds"] = json.dumps(case.seconds)
    elif whole is not None:
        facts["seconds"] = json.dumps({"decode": whole})
    return result.pixels, facts


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"


def _done(task: Task, name: str, key: str, tools: Tools, special: Mapping[str, Special]) -> bool:
    kept = read(task, name)
    if kept is None or str(kept["key"]) != key + _inputs(task, name):
        return False
    if name in special:
        return True
    about = json.loads(str(kept["about"]))
    wanted = tools.features if name == ORIGINAL else tools.compare | tools.features
    return all(what in kept and about.get(what) == tools.about[what] for what in wanted)


def _kept(task: Task, name: str, key: str) -> dict[str, np.ndarray] | None:
    """What is kept of a variant whose picture holds still; its figures may be incomplete."""
    kept = read(task, name)
    if kept is None or str(kept["key"]) != key + _inputs(task, name):
        return None
    return kept if name == ORIGINAL or picture_of(task, name).is_file() else None


def _inputs(task: Task, name: str) -> str:
    """Of all that goes into a variant of a picture and is its own."""
    total = hashlib.sha256(task.scene.identity().encode())
    if name == SWAPPED and task.donor is not None:
        total.update(task.donor.identity().encode())
    for path in (task.file, task.decoded):
        total.update(path.read_bytes() if path else b"-")
    return f" {total.hexdigest()[:16]}"


def _file(name: str) -> str:
    return name.replace(" ", "-").replace(",", "" if name[:5] != "steps" else "-")
