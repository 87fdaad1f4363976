"""Arrays and tensors of whoever computes, as Pillow's pictures or as numbers; torch is never imported for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from .bounds import PictureError, require_size
from .levels import to_levels

CHANNELS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def is_array(source: Any) -> bool:
    """Whether it is an array of NumPy's or a tensor."""
    return hasattr(source, "shape") and hasattr(source, "dtype")


def numbers_of(source: Any, what: str) -> np.ndarray:
    """An array or a tensor as an array of the same shape; the caller's own where it is one.

    Raises:
        PictureError: it holds no numbers.
    """
    if hasattr(source, "detach"):  # a tensor, on whatever device
        source = source.detach().cpu()
        if "bfloat16" in str(source.dtype) or "float8" in str(source.dtype):  # which NumPy lacks
            source = source.float()
        source = source.numpy()
    values = np.asarray(source)
    if values.dtype.kind not in "biuf":
        raise PictureError(f"{what} has values of type {values.dtype}; give uint8, bool, or floats from 0 to 1.")
    return values


def picture_of(source: Any, what: str) -> Image.Image:
    """An array or tensor as a picture of Pillow's: L, LA, RGB or RGBA.

    Args:
        source: (H, W), (H, W, C), (C, H, W), or one of them in a batch of one; C is 1 to 4.
        what: its name, at the beginning of sentences.

    Raises:
        PictureError: another shape or other numbers.
    """
    values = numbers_of(source, what)
    shape = "×".join(map(str, values.shape))
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim == 3 and values.shape[2] not in CHANNELS and values.shape[0] in CHANNELS:
        values = np.moveaxis(values, 0, 2)  # as PyTorch has pictures
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in CHANNELS:
        raise PictureError(f"{what} is an array of {shape}; give height × width × 3 (or 1, or 4), one picture.")
    require_size(what, values.shape[1], values.shape[0])
    levels = values
    if values.dtype != np.uint8 or not values.size:  # large pictures mostly are levels already
        levels = np.clip(to_levels(values, what) + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels, CHANNELS[levels.shape[2]])
