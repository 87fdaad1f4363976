"""Shows what was found: boxes, masks and names over the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ...semantics import SceneObject
from .grounding import Box

COLOURS = (
    (230, 60, 60),
    (60, 150, 240),
    (80, 200, 90),
    (240, 180, 40),
    (180, 90, 220),
    (60, 210, 210),
    (240, 130, 180),
)


def overlay(image: np.ndarray, objects: Sequence[SceneObject], boxes: Sequence[Sequence[Box]] = ()) -> np.ndarray:
    """The picture, (H, W, 3) uint8, with each object's mask tinted and outlined, and its boxes and name.

    Args:
        image: (H, W, 3) uint8.
        objects: with masks of the picture's size; those without are left out.
        boxes: per object the boxes that its mask was made of, with the detector's score where it found them; an
            object without any gets the frame of its mask.
    """
    tinted = image.astype(np.float32)
    frames: list[tuple[Box, tuple[int, int, int], str]] = []
    for j, o in enumerate(objects):
        if o.mask is None or not o.mask.any():
            continue
        colour = COLOURS[j % len(COLOURS)]
        tinted[o.mask] = 0.55 * tinted[o.mask] + 0.45 * np.array(colour, np.float32)
        tinted[_rim(o.mask, thickness(image))] = colour
        own = boxes[j] if j < len(boxes) else ()
        frames += [(box, colour, f"{o.name} {box.score:.2f}" if box.score < 1 else o.name) for box in own]
        if not own:
            frames.append((_frame(o.mask), colour, o.name))
    picture = Image.fromarray(tinted.round().astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    thick = thickness(image)
    for frame, colour, _ in frames:
        draw.rectangle([round(value) for value in frame.corners], outline=colour, width=thick)
    taken: list[Box] = []
    for frame, _, label in frames:  # after all boxes, so that no line crosses a name
        taken.append(_write(draw, picture.size, frame, label, thick, taken))
    return np.asarray(picture)


def thickness(image: np.ndarray) -> int:
    """Of lines, in pixels: visible where the picture is shown small."""
    return max(1, round(max(image.shape[:2]) / 400))


def _rim(mask: np.ndarray, thick: int) -> np.ndarray:
    """The outermost pixels of a mask."""
    import cv2

    kernel = np.ones((2 * thick + 1, 2 * thick + 1), np.uint8)
    return mask & ~cv2.erode(mask.astype(np.uint8), kernel, borderValue=1).astype(bool)


def _frame(mask: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1]))


def _write(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], frame: Box, label: str, thick: int, taken: Sequence[Box]
) -> Box:
    """The label at its box's upper left corner, moved inside the picture and below labels that are there already."""
    # Pillow's own font knows Latin-1 only where FreeType is missing.
    label = label.encode("latin-1", "replace").decode("latin-1")
    style: dict[str, Any] = {"font_size": 12 * thick, "stroke_width": thick}
    left, top, right, bottom = draw.textbbox((0, 0), label, **style)
    x = max(thick, min(frame.x0 + 2 * thick, size[0] - right))
    y = max(thick, min(frame.y0 + 2 * thick, size[1] - bottom))
    place = Box(x + left, y + top, x + right, y + bottom)
    for other in sorted(taken, key=lambda box: box.y0):
        down = other.y1 - place.y0
        if _touch(place, other) and place.y1 + down <= size[1]:
            y += down
            place = Box(place.x0, place.y0 + down, place.x1, place.y1 + down)
    draw.text((x, y), label, fill="white", stroke_fill="black", **style)
    return place


def _touch(a: Box, b: Box) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
