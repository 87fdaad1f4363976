"""Every object its mask: from a person, from a box, or from the models; what is not there is dropped."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...picture.masks import WHOLE, inverted, looks_inverted
from ...semantics import SceneObject, Semantics, disjoint
from ...word_count import may_be_english
from .grounding import BOX_THRESHOLD, TEXT_THRESHOLD, Box, Detector, PartialMatch
from .segment import TINY, MaskError, Segmenter, fill_holes, grabcut, inside

Corners = tuple[float, float, float, float]
SEVERAL = ("merge", "best")  # what to do with several boxes of one name: all as one mask, or the surest alone


class Located(NamedTuple):
    """What :func:`locate` found.

    Attributes:
        semantics: objects that all have masks, none of which overlap.
        notes: a sentence for every object that was dropped or is odd.
        boxes: for each of these objects the boxes that its mask was made of; none where a person gave the mask.
    """

    semantics: Semantics
    notes: list[str]
    boxes: list[tuple[Box, ...]]


def locate(
    image: np.ndarray,
    semantics: Semantics,
    detector: Detector | None = None,
    segmenter: Segmenter | None = None,
    masks: Sequence[np.ndarray | None] = (),
    boxes: Sequence[Corners | None] = (),
    box_threshold: float = BOX_THRESHOLD,
    text_threshold: float = TEXT_THRESHOLD,
    several: str = SEVERAL[0],
) -> Located:
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
        text_threshold: least score of a name's noun in a detected box, in [0, 1].
        several: one of ``SEVERAL``, where the detector finds a name at several places.

    Raises:
        MaskError: a mask or box that a person gave cannot be used, or an object has none and there is no detector.
    """
    notes: list[str] = []
    found: list[SceneObject] = []
    given: list[bool] = []
    framed: list[tuple[Box, ...]] = []

    def outline(frames: Sequence[Box]) -> np.ndarray:
        corners = [frame.corners for frame in frames]
        if segmenter is not None:
            return segmenter.mask(image, corners)
        return np.logical_or.reduce([grabcut(image, box) for box in corners])

    for j, o in enumerate(semantics.objects):
        mask, frames = _asked(j, o, image, masks, boxes)
        person = mask is not None or bool(frames)
        if not person:
            if detector is None:
                raise MaskError(
                    f"There is no mask, box or detector for object {j + 1}, {o.name!r}; "
                    "paint a mask, give a box, or choose a Grounding DINO model."
                )
            hits = _hits(detector, image, o.name, (box_threshold, text_threshold), notes)
            if not hits:
                notes.append(
                    f"Hallucination: {o.name!r} is nowhere in the picture (score ≤ {box_threshold:g}), dropped."
                )
                continue
            frames = tuple(hits if several == "merge" else hits[:1])  # the surest comes first
        found.append(replace(o, mask=fill_holes(outline(frames) if mask is None else mask)))
        given.append(person)
        framed.append(frames)
    separate = _separate(found, notes)
    kept = []
    for o, whole, person, frames in zip(separate, found, given, framed, strict=True):
        problem = _too_small(o)
        if person and not frames and whole.mask is not None and looks_inverted(whole.mask):
            notes.append(inverted(o.name, whole.mask))
        if problem and person and not _too_small(whole):
            raise MaskError(f"The masks of earlier objects cover that of {o.name!r}; put it before them, or remove it.")
        if problem and person:
            raise MaskError(f"{problem}; paint more of it, change the order of the objects, or remove the object.")
        if problem:
            notes.append(f"{problem}, dropped.")
        else:
            kept.append((o, frames))
    return Located(replace(semantics, objects=tuple(o for o, _ in kept)), notes, [frames for _, frames in kept])


def _hits(
    detector: Detector, image: np.ndarray, name: str, thresholds: tuple[float, float], notes: list[str]
) -> list[Box]:
    """The detector's visible boxes of a name; what it notes is added to ``notes``."""
    if not may_be_english(name):
        notes.append(f"{name!r} is not in English, which alone the detector reads; name it in English, or give a mask.")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        boxes = detector.boxes(image, name, *thresholds)
    for warning in told:
        if issubclass(warning.category, PartialMatch):
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return [box for box in boxes if box.visible]


def _asked(
    j: int,
    o: SceneObject,
    image: np.ndarray,
    masks: Sequence[np.ndarray | None],
    boxes: Sequence[Corners | None],
) -> tuple[np.ndarray | None, tuple[Box, ...]]:
    """The mask that a person asked for, or the box; neither where nobody did."""
    mask = masks[j] if j < len(masks) else None
    box = boxes[j] if j < len(boxes) else None
    if mask is None and box is not None:
        height, width = image.shape[:2]
        return None, (Box(*inside(box, width, height)),)
    if mask is None:
        mask = o.mask
    if mask is None:
        return None, ()
    mask = np.asarray(mask, dtype=bool)
    if mask.shape != image.shape[:2]:
        sizes = ["×".join(map(str, shape[::-1])) for shape in (mask.shape, image.shape[:2])]
        raise MaskError(f"The mask of {o.name!r} is {sizes[0]}, the picture {sizes[1]}; make them the same size.")
    return mask, ()


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
