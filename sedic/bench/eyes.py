"""What the embedded eyes find of objects that people named and outlined, and how often a name is plainly wrong.

An object counts as found where one mask of the eyes overlaps it by so much, whatever the name. Whether a name is wrong
cannot be computed: ``eyes_judged.json`` beside this file says for each picture and name what a person saw.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..evaluation.scenes import described_paths
from ..metrics.sheet import contact_sheet, save_jpeg
from ..picture import read_picture
from ..semantics import SceneObject, Semantics
from ..understanding.embedded.look import look
from ..understanding.masks.overlay import overlay
from .masks import overlap

JUDGED = Path(__file__).with_name("eyes_judged.json")
OVERLAPS = (0.5, 0.25)
WRONG = "wrong"  # as against "right"
SHEET_SIDE = 288, 192  # pixels of a picture on the sheet


def measure(folder: Path, sheet: Path | None) -> None:
    """Prints a row for each ``NAME.png`` with a ``NAME.json`` beside it, and the sums.

    Args:
        folder: the pictures.
        sheet: a JPEG to write, of the pictures with what was found.

    Raises:
        SedicError: no such pictures, or the classifier's packages are missing.
    """
    judged = json.loads(JUDGED.read_text(encoding="utf-8"))
    panels, found, names, objects, seconds = [], np.zeros(2, int), [], 0, 0.0
    for path in described_paths(folder):
        image = read_picture(path)
        by_hand = Semantics.read(path.with_suffix(".json"), (image.shape[1], image.shape[0])).objects
        started = time.monotonic()
        seen = look(image)
        seconds += time.monotonic() - started
        best = [_best(o, seen.semantics.objects) for o in by_hand]
        hits = [sum(value >= least for value in best) for least in OVERLAPS]
        found += hits
        objects += len(by_hand)
        said = [(o.name, judged.get(path.stem, {}).get(o.name, "not judged")) for o in seen.semantics.objects]
        names += said
        shown = ", ".join(f"{name} ({verdict})" for name, verdict in said) or "nothing"
        print(f"{path.stem}: {shown}; {hits[0]} of {len(by_hand)} objects found, {hits[1]} roughly")
        for note in seen.notes:
            print(f"    {note}")
        print(f"    {seen.semantics.overall}", flush=True)
        label = ", ".join(name for name, _ in said) or "nothing that is sure"
        panels.append((label, _framed(overlay(image, seen.semantics.objects))))
    print(
        f"{len(panels)} pictures, {objects} objects made by hand: {found[0]} found (IoU of at least {OVERLAPS[0]}), "
        f"{found[1]} roughly (at least {OVERLAPS[1]})"
    )
    verdicts = [verdict for _, verdict in names]
    wrong, unknown = verdicts.count(WRONG), verdicts.count("not judged")
    silent = sum(label == "nothing that is sure" for label, _ in panels)
    print(
        f"{len(names)} names, {wrong} plainly wrong, {unknown} not judged; {silent} pictures of which nothing is said"
    )
    print(f"{seconds / len(panels):.1f} s a picture")
    if sheet is not None:
        title = "What the embedded eyes are sure of, with nothing typed"
        save_jpeg(contact_sheet(panels, 4, title, panel_width=SHEET_SIDE[0]), sheet)


def _best(o: SceneObject, seen: Sequence[SceneObject]) -> float:
    """The largest overlap of an object with one of those that were seen."""
    return max(
        (overlap(o.mask, other.mask) for other in seen if o.mask is not None and other.mask is not None), default=0.0
    )


def _framed(image: np.ndarray) -> Image.Image:
    """The picture as large as fits on a panel, on grey where it is of another shape."""
    picture = Image.fromarray(image)
    picture.thumbnail(SHEET_SIDE, Image.Resampling.LANCZOS)
    panel = Image.new("RGB", SHEET_SIDE, (128, 128, 128))
    panel.paste(picture, ((SHEET_SIDE[0] - picture.width) // 2, (SHEET_SIDE[1] - picture.height) // 2))
    return panel
