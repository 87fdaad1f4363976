"""ComfyUI's own bounding boxes, as its detectors and its canvas give them, for Grounded SAM."""

from __future__ import annotations

import warnings
from typing import Any

from ...sedic.errors import SedicError
from ...sedic.understanding.masks.locate import Corners


def corners_of(boxes: Any) -> list[Corners | None]:
    """The boxes of one picture, one an object; None for one without size.

    Args:
        boxes: ComfyUI's BOUNDING_BOX: a box, ``{"x", "y", "width", "height"}`` in pixels, a list of them, or a list of
            such lists, one a picture of a batch, of which the first counts.

    Raises:
        SedicError: something else.
    """
    rows = [boxes] if isinstance(boxes, dict) else list(boxes or ())
    if rows and isinstance(rows[0], (list, tuple)):
        if len(rows) > 1:
            warnings.warn(f"There are bounding boxes of {len(rows)} pictures; the first's are taken.", stacklevel=2)
        rows = list(rows[0])
    return [_corners(row) for row in rows]


def _corners(row: Any) -> Corners | None:
    try:
        x, y, width, height = (float(row[name]) for name in ("x", "y", "width", "height"))
    except (TypeError, KeyError, ValueError) as error:
        raise SedicError(
            f"A bounding box is {str(row)[:60]}; wire ComfyUI's own, with x, y, width and height in pixels."
        ) from error
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None
