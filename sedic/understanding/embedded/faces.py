"""Faces, by the cascade that OpenCV trained (local binary patterns; Liao et al. 2007, Viola and Jones 2001).

OpenCV 5 has neither its cascades nor the class that ran them in its package; scikit-image has both, whatever OpenCV is
installed. Without scikit-image nobody is looked for.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

SIDE = 448  # pixels of the longer side: a cascade's time grows with the area and with the smallest face
LEAST = 28  # pixels, of a face in that
STEP = 1.12  # between two sizes that are tried
NEIGHBOURS = 5  # windows that have to agree


class Face(NamedTuple):
    """A square that looks like a face, in pixels of the picture."""

    x0: float
    y0: float
    side: float


def faces(image: np.ndarray) -> list[Face] | None:
    """What looks like a face from the front, largest first; None where scikit-image is missing.

    Many are none: a caller has to ask something else, too.

    Args:
        image: (H, W, 3) uint8.
    """
    cascade = _cascade()
    if cascade is None:
        return None
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    small = Image.fromarray(image).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR
    )
    if min(small.size) <= LEAST:
        return []
    found = cascade.detect_multi_scale(
        np.asarray(small), STEP, 1, (LEAST, LEAST), (min(small.size),) * 2, min_neighbor_number=NEIGHBOURS
    )
    squares = [Face(f["c"] / scale, f["r"] / scale, f["width"] / scale) for f in found]
    return sorted(squares, key=lambda face: -face.side)


def person(face: Face, width: int, height: int) -> tuple[float, float, float, float]:
    """The frame of whom a face belongs to: two and a half heads wide, five high, as far as the picture goes."""
    middle = face.x0 + face.side / 2
    return (
        max(0.0, middle - 1.25 * face.side),
        max(0.0, face.y0 - 0.5 * face.side),
        min(float(width), middle + 1.25 * face.side),
        min(float(height), face.y0 + 4.5 * face.side),
    )


@cache
def _cascade() -> Any:
    try:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade
    except ImportError:
        return None
    return Cascade(lbp_frontal_face_cascade_filename())
