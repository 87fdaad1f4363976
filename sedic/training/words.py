"""Words made from pixels, for pictures that nobody described: colours, brightness and texture by measurement."""

from __future__ import annotations

import colorsys
from collections import Counter

import numpy as np

_HUES = ((0.04, "red"), (0.11, "orange"), (0.18, "yellow"), (0.42, "green"), (0.52, "cyan"), (0.7, "blue"),
         (0.8, "purple"), (0.93, "pink"), (1.01, "red"))  # fmt: skip


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


def describe(pixels: np.ndarray, mask: np.ndarray | None = None) -> str:
    """Dominant colours, brightness and texture of a region, such as "dark green and brown, rough texture".

    Args:
        pixels: (H, W, 3) uint8.
        mask: (H, W) bool, the region; None is all.
    """
    step = max(1, min(pixels.shape[:2]) // 32)
    chosen = np.ones(pixels.shape[:2], bool) if mask is None else mask
    sample = pixels[::step, ::step][chosen[::step, ::step]] / 255
    if not len(sample):
        return ""
    names = Counter(colour_name(*rgb) for rgb in sample).most_common(2)
    colours = " and ".join(name for name, count in names if count > 0.2 * len(sample)) or names[0][0]
    luma = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    edges = np.abs(np.diff(luma, axis=1))[:, 1:][chosen[:, 2:]]
    strength = float(edges.mean()) if edges.size else 0.0
    texture = (
        "smooth" if strength < 0.012 else "soft" if strength < 0.025 else "textured" if strength < 0.05 else "rough"
    )
    return f"{colours}, {texture} texture, {'dark' if luma[chosen].mean() < 0.3 else 'bright'}"
