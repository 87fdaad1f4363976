"""Regions of a picture and words for each: by masks where there are any, by a classical segmentation elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from skimage.segmentation import felzenszwalb

from ...understanding.appearance import colours, describe
from ..data import Picture, decode_run_lengths

LEAST_SHARE = 0.04  # of the picture: a smaller region is lost in the attention's grid
_SEGMENTED_SIDE = 128  # segmenting is slow, and outlines need not be fine


@dataclass
class Region:
    """A part of a picture with what can be said about it.

    Attributes:
        mask: (H, W) bool.
        name: what it is, or its colours and "area" where nobody knows.
        detail: colours, texture and light.
    """

    mask: np.ndarray
    name: str
    detail: str


def regions(pixels: np.ndarray, picture: Picture, most: int = 4) -> list[Region]:
    """The largest regions, largest first, at most ``most``; annotated ones where there are any.

    Args:
        pixels: (H, W, 3) uint8.
        picture: whose masks are used.
        most: number of regions.
    """
    height, width = pixels.shape[:2]
    known = [(o["name"], _resized(decode_run_lengths(o["mask_rle"]), (width, height))) for o in picture.objects]
    masks = known or [("region", mask) for mask in _segments(pixels)]
    named: dict[str, np.ndarray] = {}
    for name, mask in masks:
        if mask.mean() >= LEAST_SHARE / 2:
            colour = colours(pixels, mask)
            called = f"{colour} area" if name == "region" else f"{colour.split(' and ')[0]} {name}"
            # Two regions of one name cannot be told apart by it: they are one.
            named[called] = named[called] | mask if called in named else mask
    largest = sorted((m for m in named.items() if m[1].mean() >= LEAST_SHARE), key=lambda m: -m[1].sum())[:most]
    return [Region(mask, name, describe(pixels, mask)) for name, mask in largest]


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).resize(size))


def _segments(pixels: np.ndarray) -> list[np.ndarray]:
    """Felzenszwalb and Huttenlocher's graph-based segmentation (2004)."""
    height, width = pixels.shape[:2]
    scale = _SEGMENTED_SIDE / min(height, width)
    small = Image.fromarray(pixels).resize((round(width * scale), round(height * scale)), Image.Resampling.BOX)
    labels = felzenszwalb(
        np.asarray(small), scale=250, sigma=0.8, min_size=int(LEAST_SHARE * small.width * small.height)
    )
    return [_resized(labels == label, (width, height)) for label in range(labels.max() + 1)]
