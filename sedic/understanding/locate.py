"""Every object its mask: from a person, from a box, or from the models; what is not there is dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from ..semantics import SceneObject, Semantics, disjoint
from .grounding import BOX_THRESHOLD, TEXT_THRESHOLD, Detector
from .segment import TINY, WHOLE, MaskError, Segmenter, fill_holes, grabcut, inside

Corners = tuple[float, float, float, float]
COLOURS = (
    (230, 60, 60),
    (60, 150, 240),
    (80, 200, 90),
    (240, 180, 40),
    (180, 90, 220),
    (60, 210, 210),
    (240, 130, 180),
)


def locate(
    image: np.ndarray,
    semantics: Semantics,
    detector: Detector | None = None,
    segmenter: Segmenter | None = None,
    masks: Sequence[np.ndarray | None] = (),
    boxes: Sequence[Corners | None] = (),
    box_threshold: float = BOX_THRESHOLD,
    text_threshold: float = TEXT_THRESHOLD,
) -> tuple[Semantics, list[str]]:
    """Gives every object a mask, or drops it.

    For each object the first of these counts: its entry of ``masks``, its entry of ``boxes``, the mask that it has
    already, the detector's boxes. A box becomes a mask through the segmenter, or through GrabCut where there is
    none. An object that the detector does not find is a hallucination (paper, section III-A) and is dropped. Small
    holes are filled, and where masks overlap the earlier object wins, except that one which covers the whole picture
    yields to all others.

    Args:
        image: (H, W, 3) uint8.
        semantics: the words.
        detector: finds names; see :func:`.grounding.load_detector`.
        segmenter: outlines boxes; see :func:`.segment.load_segmenter`.
        masks: per object (H, W) bool or None; may be shorter than the objects.
        boxes: per object (x0, y0, x1, y1) in pixels or None; may be shorter than the objects.
        box_threshold: least score of a detected box, in [0, 1].
        text_threshold: least score of a name's word in a detected box, in [0, 1].

    Returns:
        Semantics whose objects all have masks, none of which overlap, and notes: a sentence for every object that
        was dropped or is odd.

    Raises:
        MaskError: a mask or box that a person gave cannot be used, or an object has none and there is no detector.
    """
    notes: list[str] = []
    found: list[SceneObject] = []
    given: list[bool] = []

    def outline(corners: Sequence[Corners]) -> np.ndarray:
        if segmenter is not None:
            return segmenter.mask(image, corners)
        return np.logical_or.reduce([grabcut(image, box) for box in corners])

    for j, o in enumerate(semantics.objects):
        mask, person = _asked(j, o, image, masks, boxes, outline)
        if mask is None:
            if detector is None:
                raise MaskError(
                    f"There is no mask, box or detector for object {j + 1}, {o.name!r}; "
                    "paint a mask, give a box, or choose a Grounding DINO model."
                )
            hits = [b.corners for b in detector.boxes(image, o.name, box_threshold, text_threshold)]
            hits = [c for c in hits if c[2] - c[0] >= 2 and c[3] - c[1] >= 2]
            if not hits:
                notes.append(
                    f"Hallucination: {o.name!r} is nowhere in the picture (score ≤ {box_threshold:g}), dropped."
                )
                continue
            mask = outline(hits)
        found.append(replace(o, mask=fill_holes(mask)))
        given.append(person)
    separate = _separate(found, notes)
    kept = []
    for o, person in zip(separate, given, strict=True):
        problem = _too_small(o)
        if problem and person:
            raise MaskError(f"{problem}; paint more of it, change the order of the objects, or remove the object.")
        if problem:
            notes.append(f"{problem}, dropped.")
        else:
            kept.append(o)
    return replace(semantics, objects=tuple(kept)), notes


def _asked(
    j: int,
    o: SceneObject,
    image: np.ndarray,
    masks: Sequence[np.ndarray | None],
    boxes: Sequence[Corners | None],
    outline: Callable[[Sequence[Corners]], np.ndarray],
) -> tuple[np.ndarray | None, bool]:
    """The mask that a person asked for, if any, and whether one did."""
    mask = masks[j] if j < len(masks) else None
    box = boxes[j] if j < len(boxes) else None
    if mask is None and box is not None:
        height, width = image.shape[:2]
        return outline([inside(box, width, height)]), True
    if mask is None:
        mask = o.mask
    if mask is None:
        return None, False
    mask = np.asarray(mask, dtype=bool)
    if mask.shape != image.shape[:2]:
        sizes = ["×".join(map(str, shape[::-1])) for shape in (mask.shape, image.shape[:2])]
        raise MaskError(f"The mask of {o.name!r} is {sizes[0]}, the picture {sizes[1]}; make them the same size.")
    return mask, True


def _separate(objects: Sequence[SceneObject], notes: list[str]) -> list[SceneObject]:
    """The objects in their order with masks that do not overlap."""
    whole = [o.mask is not None and o.mask.mean() >= WHOLE for o in objects]
    for o, everywhere in zip(objects, whole, strict=True):
        if everywhere:
            notes.append(
                f"{o.name!r} covers the whole picture: its mask leaves the other objects theirs and guides nothing."
            )
    order = sorted(range(len(objects)), key=lambda i: whole[i])
    result = list(objects)
    for i, o in zip(order, disjoint([objects[i] for i in order]), strict=True):
        result[i] = o
    return result


def _too_small(o: SceneObject) -> str:
    share = float(o.mask.mean()) if o.mask is not None else 0.0
    if share >= TINY:
        return ""
    return f"The mask of {o.name!r} covers {share:.3%} of the picture, less than {TINY:.1%}"


def read_boxes(text: str) -> list[Corners | None]:
    """Boxes as a person types them: a line ``x0 y0 x1 y1`` an object, in pixels; ``-`` for an object without one.

    Raises:
        MaskError: a line is something else.
    """
    boxes: list[Corners | None] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line == "-":
            boxes.append(None)
            continue
        try:
            x0, y0, x1, y1 = map(float, line.replace(",", " ").split())
        except ValueError as error:
            raise MaskError(f"The box {line!r} must be four numbers x0 y0 x1 y1 in pixels, or - for none.") from error
        boxes.append((x0, y0, x1, y1))
    return boxes


def overlay(image: np.ndarray, objects: Sequence[SceneObject]) -> np.ndarray:
    """The picture, (H, W, 3) uint8, with each object's mask tinted, its bounding box drawn and its name written."""
    tinted = image.astype(np.float32)
    frames = []
    for j, o in enumerate(objects):
        if o.mask is None or not o.mask.any():
            continue
        colour = COLOURS[j % len(COLOURS)]
        tinted[o.mask] = 0.55 * tinted[o.mask] + 0.45 * np.array(colour, np.float32)
        rows, columns = np.flatnonzero(o.mask.any(axis=1)), np.flatnonzero(o.mask.any(axis=0))
        frames.append(((columns[0], rows[0], columns[-1], rows[-1]), colour, o.name))
    picture = Image.fromarray(tinted.round().astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    thick = max(1, round(max(image.shape) / 400))
    for frame, colour, name in frames:
        corners = [int(value) for value in frame]
        draw.rectangle(corners, outline=colour, width=thick)
        place = (corners[0] + 2 * thick, corners[1] + 2 * thick)
        # Pillow's own font knows Latin-1 only where FreeType is missing.
        label = name.encode("latin-1", "replace").decode("latin-1")
        draw.text(place, label, fill="white", stroke_width=thick, stroke_fill="black", font_size=12 * thick)
    return np.asarray(picture)
