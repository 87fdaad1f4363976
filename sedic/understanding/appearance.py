"""Words made from pixels, for pictures that nobody described: colours, light and texture by measurement.

The training and the embedded eyes use the same, so that the embedded models are told what they were taught.

What a blurred reference keeps of a region is its colour and shape; what it loses is texture. So the words name both:
the colour, by which cross-attention learns to find the region, and the texture, which only the words can tell.
"""

from __future__ import annotations

import colorsys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..picture.color import LUMA

_HUES = ((0.04, "red"), (0.11, "orange"), (0.18, "yellow"), (0.42, "green"), (0.52, "cyan"), (0.7, "blue"),
         (0.8, "purple"), (0.93, "pink"), (1.01, "red"))  # fmt: skip
_DIRECTIONS = (
    "vertical",
    "diagonal",
    "horizontal",
    "diagonal",
)  # of lines, by the gradient's angle over 0, 45, 90, 135°


def colour_name(red: float, green: float, blue: float) -> str:
    """The everyday name of a colour, components in [0, 1]."""
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if value < 0.17:
        return "black"
    if saturation < 0.16:
        return "white" if value > 0.82 else "light grey" if value > 0.6 else "grey" if value > 0.35 else "dark grey"
    name = next(name for limit, name in _HUES if hue < limit)
    if name == "orange" and value < 0.6:
        return "brown"
    if name in ("orange", "yellow") and saturation < 0.4:
        return "beige"
    shade = "dark " if value < 0.4 else "light " if value > 0.8 and saturation < 0.45 else ""
    return shade + name


def colours(pixels: np.ndarray, mask: np.ndarray) -> str:
    """One or two colours of a region, the larger first, such as "dark green and brown"; arguments as in describe."""
    step = max(1, min(pixels.shape[:2]) // 48)
    sample = pixels[::step, ::step][mask[::step, ::step]] / 255
    if not len(sample):
        return colour_name(*pixels[mask].mean(0) / 255) if mask.any() else ""
    names = Counter(colour_name(*rgb) for rgb in sample).most_common(2)
    return " and ".join(name for name, count in names if count > 0.25 * len(sample)) or names[0][0]


@dataclass
class Surface:
    """What the brightness of a region does, from its structure tensor; brightness is in [0, 1].

    Attributes:
        strength: mean size of the gradient, per pixel.
        coherence: 0 where gradients have every direction, 1 where all have one.
        lines: the direction of the lines, if there is one.
        brightness: mean.
        highlights: how far the brightest hundredth stands above the median.
    """

    strength: float
    coherence: float
    lines: str
    brightness: float
    highlights: float


def measure(pixels: np.ndarray, mask: np.ndarray) -> Surface:
    """The surface of a region; arguments as in :func:`describe`."""
    import cv2

    luma: np.ndarray = pixels @ np.array(LUMA, np.float32) / 255
    grown = [(0, max(0, 2 - side)) for side in luma.shape]  # a gradient needs two pixels
    luma, mask = np.pad(luma, grown, mode="edge"), np.pad(mask, grown)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(mask.astype(np.uint8), cross, iterations=2).astype(bool)  # the border takes nothing away
    inner = inner if inner.sum() > 0.2 * mask.sum() else mask  # the region's outline is not its texture
    down, right = np.gradient(luma)
    x, y = right[inner], down[inner]
    xx, yy, xy = float((x * x).mean()), float((y * y).mean()), float((x * y).mean())
    spread = np.hypot(xx - yy, 2 * xy)
    angle = 0.5 * np.degrees(np.arctan2(2 * xy, xx - yy)) % 180  # of the gradient: lines run across it
    values = luma[inner]
    return Surface(
        float(np.hypot(x, y).mean()),
        float(spread / max(xx + yy, 1e-9)),
        _DIRECTIONS[int((angle + 22.5) // 45) % 4],
        float(values.mean()),
        float(np.quantile(values, 0.99) - np.median(values)),
    )


def texture(surface: Surface, colour: str) -> str:
    """A word or two for a surface, such as "horizontal striped" or "grassy"."""
    if surface.strength < 0.008:
        return "smooth"
    if surface.highlights > 0.35 and surface.strength < 0.035:
        return "glossy"
    if surface.coherence > 0.45 and surface.strength > 0.02:
        return f"{surface.lines} {'striped' if surface.strength > 0.04 else 'lined'}"
    if surface.strength < 0.016:
        return "soft"
    if surface.strength > 0.03 and "green" in colour:
        return "grassy" if surface.strength < 0.07 else "leafy"
    if surface.strength < 0.03:
        return "furry" if surface.coherence < 0.2 and colour.split()[-1] in ("brown", "beige", "grey") else "fine"
    return "rough" if surface.strength < 0.07 else "busy detailed"


def describe(pixels: np.ndarray, mask: np.ndarray | None = None) -> str:
    """Colours, texture and brightness of a region, such as "dark green and brown, rough texture, bright".

    Args:
        pixels: (H, W, 3) uint8.
        mask: (H, W) bool, the region; None is all.

    Returns:
        The words; empty for an empty region.
    """
    chosen = np.ones(pixels.shape[:2], bool) if mask is None else mask
    if not chosen.any():
        return ""
    rows, columns = (np.flatnonzero(chosen.any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    names, surface = colours(pixels, chosen), measure(pixels[box], chosen[box])
    light = "dark" if surface.brightness < 0.3 else "bright" if surface.brightness > 0.6 else "dim"
    return f"{names}, {texture(surface, names)} texture, {light}"
