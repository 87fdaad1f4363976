"""Pictures with words and masks: NAME.png with NAME.json beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import SedicError
from ..picture import read_picture
from ..semantics import Semantics

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Scene:
    """A picture, (H, W, 3) uint8, with words and masks within the default limits."""

    name: str
    pixels: np.ndarray
    semantics: Semantics

    @property
    def objects(self) -> int:
        """How many."""
        return len(self.semantics.objects)

    def opened(self) -> Scene:
        """Itself: it lies in memory. A scene on disk gives one of these."""
        return self

    def identity(self) -> str:
        """Of the picture, its words and masks."""
        total = hashlib.sha256(self.pixels.tobytes() + repr(self.pixels.shape).encode())
        total.update(self.semantics.to_json().encode())
        for o in self.semantics.objects:
            total.update(b"-" if o.mask is None else np.packbits(o.mask).tobytes())
        return total.hexdigest()


def spread(names: Sequence[Any]) -> list[Any]:
    """The names in an order of which every beginning is spread over all of them: a golden step through the sorted."""
    ranked = sorted(enumerate(sorted(names)), key=lambda pair: (pair[0] * _GOLDEN) % 1)
    return [path for _, path in ranked]


def described_paths(folder: Path) -> list[Path]:
    """The pictures of a folder that have words beside them, by name.

    Raises:
        SedicError: there are none.
    """
    paths = [path for path in sorted(folder.glob("*.png")) if path.with_suffix(".json").is_file()]
    if not paths:
        raise SedicError(f"{folder} holds no NAME.png with a NAME.json beside it; name another folder.")
    return paths


def described(folder: Path, count: int, side: int) -> list[Scene]:
    """The first ``count`` pictures ``NAME.png`` with a ``NAME.json``, spread, shrunk to a shorter side of ``side``.

    Raises:
        SedicError: there are none.
    """
    return [_described(path, side) for path in spread(described_paths(folder))[:count]]


def _described(path: Path, side: int) -> Scene:
    pixels = read_picture(path)
    height, width = pixels.shape[:2]
    semantics = Semantics.read(path.with_suffix(".json"), (width, height)).limited()
    return Scene(path.stem, *resized(pixels, semantics, min(1.0, side / min(height, width))))


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
