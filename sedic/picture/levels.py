"""Any mode of Pillow's as eight bits a channel, or as grey in fractions of them; alpha apart."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image

from .bounds import PictureError

BITS, PHOTOMETRIC = 258, 262  # TIFF's tags
RINGING = 0.2  # of 1: resizing overshoots black and white by as much
SHALLOW = 4095  # most of 12 bits
# Pillow spreads shallow grey over eight bits, but leaves the level that PNG calls transparent as it was.
SPREAD = {"L;2": 85, "L;4": 17}


class Planes(NamedTuple):
    """A picture before its colours are converted.

    Attributes:
        base: RGB, L, CMYK or LAB; or F, grey in 0 … 255 of more than eight bits.
        alpha: L, 255 where it is opaque; None where all is.
    """

    base: Image.Image
    alpha: Image.Image | None


def planes(image: Image.Image, what: str, raw_mode: str = "") -> Planes:
    """Brings a decoded picture to one of the modes that colours are converted from.

    Args:
        image: of any mode.
        what: its name, at the beginning of sentences.
        raw_mode: Pillow's name for the file's samples, where it was told before decoding.

    Raises:
        PictureError: its numbers have no meaning as levels.
    """
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        levels, alpha = _deep(image, what)
        return Planes(Image.fromarray(levels), alpha)
    if mode in ("RGBa", "La"):  # premultiplied
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[mode])
    elif image.has_transparency_data and mode not in ("RGBA", "LA"):
        key = image.info.get("transparency")
        image = image.copy()
        if mode == "L" and isinstance(key, int) and raw_mode in SPREAD:
            image.info["transparency"] = key * SPREAD[raw_mode]
        elif mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
            image.info["transparency"] = tuple(level >> 8 for level in key)  # 16 bits, of which Pillow keeps the upper
        image = image.convert("LA" if mode in ("1", "L") else "RGBA")
    if image.mode in ("RGBA", "LA"):
        alpha = image.getchannel("A")
        base = image.convert("RGB" if image.mode == "RGBA" else "L")
        return Planes(base, alpha if alpha.getextrema()[0] < 255 else None)  # type: ignore[operator]
    if image.mode == "1":
        image = image.convert("L")
    return Planes(image if image.mode in ("L", "CMYK", "LAB") else image.convert("RGB"), None)


def _deep(image: Image.Image, what: str) -> tuple[np.ndarray, Image.Image | None]:
    """Grey of more than eight bits: (H, W) float32 in 0 … 255, and alpha."""
    values = np.asarray(image)
    alpha = None
    key = image.info.get("transparency")
    if isinstance(key, int) and (values == key).any():
        alpha = Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    tags = getattr(image, "tag_v2", {})
    bits = 16 if image.format == "PPM" else tags.get(BITS, (0,))[0]  # Pillow spreads portable greymaps over 16 bits
    levels = to_levels(values, what, bits)
    if tags.get(PHOTOMETRIC) == 0:  # WhiteIsZero, which Pillow undoes up to eight bits only
        levels = 255 - levels
    return levels, alpha


def to_levels(values: np.ndarray, what: str, bits: int = 0) -> np.ndarray:
    """Numbers of any type as levels, float32 in 0 … 255, of the same shape.

    Args:
        values: bool; integers of 8 or 16 bits; or floats in 0 … 1.
        what: their picture's name, at the beginning of sentences.
        bits: of each, where the file says so; 0 takes what their type and their values say.

    Raises:
        PictureError: not numbers, not finite, negative, or of a range that can be read in several ways.
    """
    if values.dtype == bool:
        return values.astype(np.float32) * 255
    if values.dtype.kind not in "iuf":
        raise PictureError(f"{what} has values of type {values.dtype}; give uint8, or floats from 0 to 1.")
    if values.size == 0:
        raise PictureError(f"{what} is empty ({'×'.join(map(str, values.shape))}); give it pixels.")
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise PictureError(f"{what} holds values that are no numbers (NaN or infinite); repair what made it.")
    if values.dtype.kind == "f":
        return _of_floats(values, what, low, high)
    if values.dtype == np.uint8:
        return values.astype(np.float32)
    if low < 0 or high > 65535:
        raise PictureError(
            f"{what} holds integers from {low:.0f} to {high:.0f}; save it with 8 or 16 bits a channel, from black to "
            "white."
        )
    peak = (1 << bits) - 1 if bits in (12, 16) else 65535 if values.dtype.itemsize == 2 else 0
    if not peak:  # wide integers say nothing of their range
        peak = 255 if high <= 255 else 65535
        warnings.warn(f"{what} holds wide integers up to {high:.0f}; {peak} is taken as white.", stacklevel=2)
    elif peak == 65535 and 0 < high <= SHALLOW:
        warnings.warn(
            f"{what} uses {high:.0f} of 65535 levels, so it is nearly black; if its data have 12 bits, save it with "
            "them spread over 16.",
            stacklevel=2,
        )
    return values.astype(np.float32) * np.float32(255 / peak)


def _of_floats(values: np.ndarray, what: str, low: float, high: float) -> np.ndarray:
    if low < -0.5 or float((values > 1 + RINGING).mean()) > 0.5:
        raise PictureError(
            f"{what} holds floats from {low:.4g} to {high:.4g}; scale them to 0 … 1, from black to white, or save 8 "
            "bits."
        )
    if high > 1 + RINGING or low < -RINGING:
        outside = float(((values > 1) | (values < 0)).mean())
        warnings.warn(
            f"{what} holds floats from {low:.4g} to {high:.4g}; the {outside:.1%} outside 0 … 1 are cut off.",
            stacklevel=2,
        )
    return np.clip(values.astype(np.float32), 0, 1) * np.float32(255)
