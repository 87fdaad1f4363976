"""Content for the tests of the file."""

from __future__ import annotations

import numpy as np

from sedic.bitstream import SedicFile
from sedic.semantics import SceneObject, Semantics


def ellipse(width: int, height: int, x: float, y: float, across: float, down: float) -> np.ndarray:
    """(height, width) bool, in pixels, on whole cells of 8 where the size allows."""
    rows, columns = np.mgrid[:height, :width] // 8 * 8 + 4
    return ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1


def barn(**changes) -> SedicFile:
    """A picture of 203×150 with three objects, one without a mask; everything the file can hold is used."""
    objects = (
        SceneObject("red barn", "Weathered red barn with a rusty roof.", ellipse(203, 150, 60, 60, 50, 40)),
        SceneObject("café sign «Zxqvar»", "", ellipse(203, 150, 120, 70, 60, 30) & ~ellipse(203, 150, 60, 60, 50, 40)),
        SceneObject("pond", "Pond, two-thirds frozen; McDonald's 1987 BOAT.\n"),
    )
    fields = {
        "width": 203,
        "height": 150,
        "codec_id": 2,
        "quality": 63,
        "reference": bytes(range(40)),
        "semantics": Semantics("A red barn beside a frozen pond, soft light.", objects),
        "mask_coder": 1,  # its grid is fixed, so that masks on whole cells come back as they are
    }
    return SedicFile(**(fields | changes))


def small() -> SedicFile:
    """A picture of 40×32 with two objects and few words, for tests that read it often."""
    mask = ellipse(40, 32, 20, 16, 12, 10)
    objects = (SceneObject("red barn", "Old.", mask), SceneObject("pond", "", ~mask))
    return SedicFile(40, 32, 1, 9, bytes(range(6)), Semantics("A barn.", objects), mask_coder=1)


def contents(file: SedicFile) -> list:
    """All that a file says, comparable with ``==``."""
    objects = [(o.name, o.detail, None if o.mask is None else o.mask.tolist()) for o in file.semantics.objects]
    head = [file.width, file.height, file.codec_id, file.quality, file.fingerprint, file.hints, file.missing]
    return [*head, file.reference, file.semantics.overall, objects]
