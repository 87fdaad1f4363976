"""Restores pictures and measures what came back, each result kept on disk, so that nothing is done twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...codec import default_settings, load_models, to_image, to_pixels
from ...metrics.fidelity import MS_SSIM_MIN_SIDE, ms_ssim, psnr
from ...metrics.naturalness import patch_features
from ...metrics.perception import perception, stage_distance, window_features
from ...models.embedded import WEIGHTS
from ...picture import write_picture
from ...restoration.settings import Settings
from ...restoration.starts import pad_to_multiple
from .. import energy
from . import few
from .scenes import Scene
from .variants import GROUPS, SWAPPED, VARIANTS, Case, donors

ENERGY, ORIGINAL, AUTOENCODER, FEW = "energy", "original", "autoencoder", "few steps"
# MS-SSIM takes as long as a stage: only of these.
_STRUCTURED = (ORIGINAL, AUTOENCODER, "reference", "final", *GROUPS["references"])
_DECODER = ("restoration", "models", "reference")  # packages whose sources and weights decide a picture
_SEDIC = Path(__file__).parents[2]


@dataclass(frozen=True)
class Task:
    """One picture of a set with the variants that are wanted of it.

    Attributes:
        scene, donor: the picture, and whose words it gets where they are swapped.
        folder: where its results are kept.
        variants: names, see :data:`.variants.VARIANTS` and above.
    """

    scene: Scene
    donor: Scene
    folder: Path
    variants: tuple[str, ...]


def tasks(scenes: Sequence[Scene], folder: Path, variants: Sequence[str]) -> list[Task]:
    """A task for each scene, in ``folder``/its name."""
    pairs = zip(scenes, donors(scenes), strict=True)
    return [Task(scene, donor, folder / scene.name, tuple(variants)) for scene, donor in pairs]


def fingerprint(settings: Settings) -> str:
    """Of all that decides a restored picture and is not the picture: settings, weights and the decoder's sources."""
    total = hashlib.sha256(repr(settings).encode())
    for package in _DECODER:
        for path in sorted((_SEDIC / package).rglob("*")):
            if path.suffix in (".py", ".safetensors"):
                total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()[:16]


def weights_fingerprint() -> str:
    """Of the embedded weights, eight hexadecimal digits: pages say by it what they were measured on."""
    total = hashlib.sha256()
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        total.update(path.read_bytes())
    return total.hexdigest()[:8]


def run(todo: Sequence[Task], workers: int, minutes: float | None) -> Iterator[str]:
    """Does what is not done yet, in as many processes of one thread each; yields a line for each picture.

    Args:
        todo: in the order in which they are begun.
        workers: processes.
        minutes: no picture is begun behind them; None does all.
    """
    settings = default_settings()
    key = fingerprint(settings)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    waiting = [task for task in todo if any(not _done(task, name, key) for name in task.variants)]
    yield f"{len(todo) - len(waiting)} of {len(todo)} pictures are there already"
    if not waiting:
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin) as pool:
        futures = [pool.submit(_task, task, key, settings, deadline) for task in waiting]
        for done, future in enumerate(as_completed(futures), 1):
            yield f"{done}/{len(waiting)} {future.result()}"


_models: Any = None


def _begin() -> None:
    global _models
    torch.set_num_threads(1)
    _models = load_models()


def _task(task: Task, key: str, settings: Settings, deadline: float | None) -> str:
    if deadline is not None and time.monotonic() > deadline:  # one clock for all processes of a machine
        return f"{task.scene.name}: left out, the time is over"
    started = time.monotonic()
    perform(task, key, _models, settings)
    return f"{task.scene.name}: {time.monotonic() - started:.0f} s"


def perform(task: Task, key: str, models: Any, settings: Settings) -> None:
    """Makes and keeps the missing variants of one picture."""
    task.folder.mkdir(parents=True, exist_ok=True)
    case = Case(task.scene, task.donor, models, settings)
    seen = _Seen(task.scene.pixels)
    for name in task.variants:
        if _done(task, name, key):
            continue
        found = SPECIAL[name](case, seen) if name in SPECIAL else _variant(case, seen, name, task.folder)
        partial = task.folder / f".{_file(name)}.partial.npz"
        np.savez(partial, key=key, donor=task.donor.name, **found)
        partial.replace(task.folder / f"{_file(name)}.npz")


def read(task: Task, name: str) -> dict[str, np.ndarray] | None:
    """What is kept of a variant, by name; None where there is nothing."""
    path = task.folder / f"{_file(name)}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as kept:
        return dict(kept)


def _done(task: Task, name: str, key: str) -> bool:
    kept = read(task, name)
    if kept is None or str(kept["key"]) != key:
        return False
    return name != SWAPPED or str(kept["donor"]) == task.donor.name


def picture_of(task: Task, name: str) -> Path:
    """Where a variant's picture is kept."""
    return task.folder / f"{_file(name)}.png"


def _file(name: str) -> str:
    return name.replace(" ", "-").replace(",", "")


class _Seen:
    """The original and what the network sees in it, once for all variants."""

    def __init__(self, pixels: np.ndarray):
        self.pixels, self.stages = pixels, perception().stages(pixels)


def _variant(case: Case, seen: _Seen, name: str, folder: Path) -> dict[str, Any]:
    result = VARIANTS[name](case)
    write_picture(folder / f"{_file(name)}.png", result.pixels)
    if name == "final":
        for j, image in enumerate(case.after[1:], 1):
            write_picture(folder / f"object-{j}.png", to_pixels(image))
    return {"bytes": result.bytes} | _figures(seen, result.pixels, name)


def _figures(seen: _Seen, pixels: np.ndarray, name: str) -> dict[str, Any]:
    stages = perception().stages(pixels)
    large = name in _STRUCTURED and min(pixels.shape[:2]) >= MS_SSIM_MIN_SIDE
    return {
        "pixels": pixels.shape[0] * pixels.shape[1],
        "psnr": psnr(seen.pixels, pixels),
        "ms_ssim": ms_ssim(seen.pixels, pixels) if large else np.nan,
        "distance": stage_distance(seen.stages, stages),
        "windows": window_features(stages).astype(np.float32),
        "patches": patch_features(pixels).astype(np.float32),
    }


def _original(case: Case, seen: _Seen) -> dict[str, Any]:
    return _figures(seen, seen.pixels, ORIGINAL)


def _autoencoder(case: Case, seen: _Seen) -> dict[str, Any]:
    """The original through the autoencoder alone."""
    image = to_image(seen.pixels)
    decoded = case.models.decode(case.models.encode(pad_to_multiple(image)))
    return _figures(seen, to_pixels(decoded[..., : image.shape[-2], : image.shape[-1]]), AUTOENCODER)


def _energy(case: Case, seen: _Seen) -> dict[str, Any]:
    """Energies (Eq. 2) of the objects' stages, each from the reference, at the end: without and with guidance."""
    scene = energy.Scene(case.scene.name, to_image(case.reference), case.file.semantics)
    chosen = case.settings.guidance
    last = case.settings.object_steps - 1
    levels = min(chosen.guided_steps(last + 1), last), last
    rows = []
    for stage in energy.stages(case.models, scene, case.settings):
        free, guided = (stage.run(way, case.settings.sampler) for way in (None, chosen))
        rows.append([[stage.energy(run, level, chosen) for run in (free, guided)] for level in levels])
    return {"energies": np.array(rows).reshape(-1, 2, 2)}  # objects, (where guidance ends, last level), (free, guided)


def _few_steps(case: Case, seen: _Seen) -> dict[str, Any]:
    """The objects' stages in few steps, guided in several ways, see :mod:`.few`."""
    scene = energy.Scene(case.scene.name, to_image(case.reference), case.file.semantics)

    def distance(pixels: np.ndarray) -> float:
        return stage_distance(seen.stages, perception().stages(pixels))

    return {"figures": few.measured(case.models, scene, case.settings, distance)}


SPECIAL: dict[str, Callable[[Case, _Seen], dict[str, Any]]] = {
    ORIGINAL: _original,
    AUTOENCODER: _autoencoder,
    ENERGY: _energy,
    FEW: _few_steps,
}
"""What is measured beside the restored pictures."""
