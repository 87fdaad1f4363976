"""Pictures that somebody described: NAME.png with NAME.json beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import SedicError
from ..semantics import Semantics


def described_paths(folder: Path) -> list[Path]:
    """The pictures of a folder that have words beside them, by name.

    Raises:
        SedicError: there are none.
    """
    paths = [path for path in sorted(folder.glob("*.png")) if path.with_suffix(".json").is_file()]
    if not paths:
        raise SedicError(f"{folder} holds no NAME.png with a NAME.json beside it; name another folder.")
    return paths


def resized(pixels: np.ndarray, semantics: Semantics, scale: float) -> tuple[np.ndarray, Semantics]:
    """A picture, (H, W, 3) uint8, and its masks at another size; objects without a mask are left out."""
    height, width = pixels.shape[:2]
    size = round(width * scale), round(height * scale)
    objects = tuple(
        replace(o, mask=np.asarray(Image.fromarray(o.mask).resize(size, Image.Resampling.NEAREST)))
        for o in semantics.objects
        if o.mask is not None
    )
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    return small, replace(semantics, objects=objects)
