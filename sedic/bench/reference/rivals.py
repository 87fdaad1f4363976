"""Ordinary codecs at a given number of bytes: as good as they can be made.

A codec of the shelf has a quantiser, and the picture can be shrunk before it: at a few hundred bytes that is worth
several dB. For every quantiser there is one size that spends the budget; the search walks over the quantisers and takes
the one whose picture, enlarged again, is nearest to the original. So all sizes are tried, 1/1, 1/2 and 1/4 among them,
and the budget is met to two percent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

TOLERANCE = 0.02  # of the budget, either way
STEPS = (4, 2, 1)  # of the quantisers' list, as the search narrows
_TRIES = 6  # sizes for one quantiser
_GROWTH = 0.6  # the shrinking factor grows with that power of the bytes that it has to save


@dataclass(frozen=True)
class Coded:
    """Bytes of what a codec wrote, its container not counted, and the picture in it."""

    bytes: int
    picture: Image.Image


class Rival(Protocol):
    """What the search needs of an ordinary codec.

    Attributes:
        name: in results and on the command line.
        quantisers: all that are tried, from the finest.
        variants: settings of which the best is taken.
        least_side: pixels of the smallest picture that it takes.
        version: names all that decides the bytes.
    """

    name: str
    least_side: int

    @property
    def quantisers(self) -> Sequence[float]: ...

    @property
    def variants(self) -> Sequence[str]: ...

    @property
    def version(self) -> str: ...

    def code(self, picture: Image.Image, quantiser: float, variant: str) -> Coded:
        """An RGB picture, coded and decoded."""
        ...


@dataclass(frozen=True)
class Found:
    """The best that a codec can do with a budget.

    Attributes:
        bytes: what it takes.
        pixels: the picture at the original's size, (H, W, 3) uint8.
        setting: how it was made, for people.
        psnr: dB.
    """

    bytes: int
    pixels: np.ndarray
    setting: str
    psnr: float


def best(rival: Rival, original: Image.Image, budget: int) -> Found | None:
    """The picture of highest PSNR whose bytes are the ``budget`` within :data:`TOLERANCE`; None: there is none.

    Args:
        rival: the codec.
        original: RGB.
        budget: bytes.
    """
    return max(
        (found for variant in rival.variants for found in _Search(rival, original, budget, variant).found()),
        key=lambda found: found.psnr,
        default=None,
    )


class _Search:
    """For one variant of a codec; every quantiser's size is looked for once."""

    def __init__(self, rival: Rival, original: Image.Image, budget: int, variant: str) -> None:
        self.rival, self.original, self.budget, self.variant = rival, original, budget, variant
        self.target = np.asarray(original, np.float32)
        self.known: dict[int, Found | None] = {}
        self.largest = max(1.0, min(original.size) / rival.least_side)
        self.factor = min(2.0, self.largest)  # shrinking, where the next search for a size begins

    def found(self) -> list[Found]:
        """One for each quantiser that was tried: all over the list, then around the best."""
        indices = range(0, len(self.rival.quantisers), STEPS[0])
        for step in STEPS:
            for index in indices:
                self._look(index)
            reached = [(found.psnr, index) for index, found in self.known.items() if found is not None]
            middle = max(reached)[1] if reached else len(self.rival.quantisers) // 2
            indices = range(middle - step // 2, middle + step // 2 + 1, max(1, step // 2))
        return [found for found in self.known.values() if found is not None]

    def _look(self, index: int) -> None:
        if index not in self.known and 0 <= index < len(self.rival.quantisers):
            self.known[index] = self._sized(index)

    def _sized(self, index: int) -> Found | None:
        """The size at which a quantiser spends the budget; None where even the ends of all sizes do not."""
        small, large = 1.0, self.largest  # factors: of too many bytes, of too few
        factor = self.factor
        for _ in range(_TRIES):
            size = tuple(2 * round(side / factor / 2) for side in self.original.size)
            shrunk = self.original.resize(size, Image.Resampling.LANCZOS)  # type: ignore[arg-type]
            coded = self.rival.code(shrunk, self.rival.quantisers[index], self.variant)
            used = coded.bytes / self.budget
            if abs(used - 1) <= TOLERANCE:
                self.factor = factor
                return self._measured(coded, size, index)
            if (factor == small and used < 1) or (factor == large and used > 1):
                return None
            small, large = (factor, large) if used > 1 else (small, factor)
            following = factor * used**_GROWTH
            at_end = following <= small == 1 or following >= large == self.largest
            inside = small < following < large
            # Bytes wobble: where the guess leaves the bracket, halve it.
            factor = min(max(following, small), large) if at_end or inside else math.sqrt(small * large)
        return None

    def _measured(self, coded: Coded, size: tuple[int, ...], index: int) -> Found:
        pixels = np.asarray(coded.picture.resize(self.original.size, Image.Resampling.LANCZOS))
        error = float(np.mean((self.target - pixels) ** 2, dtype=np.float64))
        setting = f"{size[0]}×{size[1]}, {self.rival.quantisers[index]}, {self.variant}"
        return Found(coded.bytes, pixels, setting, 10 * math.log10(255**2 / max(error, 1e-9)))
