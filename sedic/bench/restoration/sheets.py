"""Pictures of pictures: what comes back stage by stage, and how the training went."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ...errors import SedicError
from ...evaluation import kept
from ...evaluation.kept import Task
from ...evaluation.scenes import Scene
from ...evaluation.variants import chosen
from ...metrics.sheet import contact_sheet, save_jpeg
from ...picture import read_picture
from . import plan_and_tools
from .scenes import held_out

OBJECTS = 3
_PANEL = 168, 126  # pixels
_COLUMNS = ("original", "reference", *(f"object {j}" for j in range(1, OBJECTS + 1)), "final", "guidance off")


def held_out_sheet(folder: Path, results: Path, to: Path, count: int, workers: int, among: int) -> None:
    """One row a picture: original, reference, after each object, final, and the final one without guidance.

    Args:
        folder: of the held-out pictures; the first that have three objects are shown.
        results: what :mod:`sedic.evaluation.kept` keeps; missing ones are made.
        to: the sheet, a JPEG.
        count: of pictures.
        workers: processes.
        among: how many held-out pictures there are to choose from.

    Raises:
        SedicError: too few pictures have three objects.
    """
    every = held_out(folder, among)
    scenes = [scene for scene in every if len(scene.semantics.objects) == OBJECTS][:count]
    if not scenes:
        raise SedicError(f"No picture of {folder} has {OBJECTS} objects; name another folder.")
    names = {scene.name for scene in scenes}
    tasks = [t for t in kept.tasks(every, results, chosen(["guidance"])) if t.scene.name in names]
    for line in kept.run(tasks, workers, None, *plan_and_tools()):
        print(line, flush=True)
    panels = [panel for task in tasks for panel in _row(task)]
    title = f"Held-out pictures, files of {_bytes(tasks)} bytes in the mean, embedded models"
    _save(contact_sheet(panels, len(_COLUMNS), title, panel_width=_PANEL[0]), to)


def _row(task: Task) -> list[tuple[str, Image.Image]]:
    scene: Scene = task.scene
    names = ["reference", *(f"object {j}" for j in range(1, OBJECTS + 1)), "final", "unguided"]
    pictures = [scene.pixels, *(read_picture(kept.picture_of(task, name)) for name in names)]
    notes = ["", "", *(o.name for o in scene.semantics.objects), "", ""]
    return [
        (f"{column}\n{note}" if note else column, ImageOps.fit(Image.fromarray(pixels), _PANEL))
        for column, note, pixels in zip(_COLUMNS, notes, pictures, strict=True)
    ]


def _bytes(tasks: list[Task]) -> int:
    found = [kept.read(task, "final") for task in tasks]
    return round(float(np.mean([float(row["bytes"]) for row in found if row is not None])))


def training_sheet(run: Path, to: Path, count: int = 5, rows: int = 3) -> None:
    """Samples over the training time: of ``run/samples/STEP.png``, side by side.

    Args:
        run: folder of a training run, whose samples are rows of reference, restored and original, each square.
        to: the sheet, a JPEG.
        count: of steps, evenly spread, the first and the last among them.
        rows: of each sample that are shown.

    Raises:
        SedicError: there are no samples.
    """
    paths = sorted(run.glob("samples/*.png"), key=lambda path: int(path.stem))
    if not paths:
        raise SedicError(f"{run} has no samples/STEP.png; name the folder of a run of `sedic train diffusion`.")
    chosen_paths = [paths[round(i * (len(paths) - 1) / max(1, count - 1))] for i in range(min(count, len(paths)))]
    panels: list[tuple[str, Image.Image]] = []
    for row in range(rows):
        cells = [_cells(path, row) for path in chosen_paths]
        reference, _, original = cells[0]
        panels.append(("reference", reference))
        panels += [(f"step {int(path.stem)}", cell[1]) for path, cell in zip(chosen_paths, cells, strict=True)]
        panels.append(("original", original))
    _save(contact_sheet(panels, len(chosen_paths) + 2, "Samples over training time", panel_width=192), to)


def _cells(path: Path, row: int) -> list[Image.Image]:
    with Image.open(path) as opened:
        sheet = opened.convert("RGB")
    side = sheet.width // 3
    row = row % max(1, sheet.height // side)
    return [sheet.crop((column * side, row * side, (column + 1) * side, (row + 1) * side)) for column in range(3)]


def _save(sheet: Image.Image, to: Path) -> None:
    save_jpeg(sheet, to)
    print(f"{to}: {sheet.width}×{sheet.height}, {to.stat().st_size} bytes")
