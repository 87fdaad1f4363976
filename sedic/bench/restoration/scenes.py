"""Held-out pictures, whose words are made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import SedicError
from ...evaluation.scenes import Scene, spread
from ...semantics import Limits, SceneObject, Semantics, disjoint, first_words
from ...training.data import Picture, read_annotations
from ...understanding.appearance import describe

_LEAST_SHARE = 0.02  # of the picture that an object covers


def held_out(folder: Path, count: int) -> list[Scene]:
    """The first ``count`` pictures of a folder with ``annotations.jsonl``, spread, with words for each.

    Few of them were described by people. Captions are taken where there are any; every object's detail, and what
    captions leave unsaid, is measured on the original's pixels, as for training.

    Raises:
        SedicError: there are none.
    """
    try:
        pictures = {picture.path: picture for picture in read_annotations(folder)}
    except FileNotFoundError as error:
        raise SedicError(str(error)) from error
    return [_held_out(pictures[path]) for path in spread(list(pictures))[:count]]


def _held_out(picture: Picture) -> Scene:
    pixels = picture.pixels()
    limits = Limits()
    objects = _objects(pixels, picture)[: limits.objects]
    said = [*picture.captions[:1], *(text for o in objects for text in (o.name, o.detail))]
    overall = ", ".join(text.rstrip(". ") for text in said if text) or describe(pixels)
    return Scene(picture.path.stem, pixels, Semantics(first_words(overall, limits.overall_words), objects))


def _objects(pixels: np.ndarray, picture: Picture) -> tuple[SceneObject, ...]:
    from ...training.diffusion.regions import regions

    objects = [SceneObject(region.name, region.detail, region.mask) for region in regions(pixels, picture)]
    return tuple(o for o in disjoint(objects) if o.mask is not None and o.mask.mean() >= _LEAST_SHARE)
