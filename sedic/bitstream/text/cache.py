"""A cache of a file's pieces by the states in which they came (the neural cache of Grave, Joulin and Usunier 2017).

Where the network expects much what it expected once before, what came then becomes likelier. How near two expectations
are is the cosine of what the network projected. All in integers.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from .confidence import PEAK_BITS
from .pieces import FIRST_CHARACTER

UNIT_BITS = 10  # of a projection that is made one long
SHARPNESS = 2560  # ten, in the table's 2⁻⁸: e^(−10·(1 − cosine))


class Cache:
    """What came in one file and direction, and where."""

    def __init__(self, exponential: np.ndarray) -> None:
        """Begins empty; ``exponential``, (n,) int64, is 2²⁴·e^(−i/2⁸), at least 1."""
        self._exponential = exponential
        self._states = np.empty((0, 0), np.float32)
        self._pieces: list[int] = []

    def learn(self, projected: np.ndarray, piece: int) -> None:
        """Takes in a piece that came where the network had projected (E,) int64."""
        if piece >= FIRST_CHARACTER:
            unit = _unit(projected)[None]
            self._states = np.concatenate([self._states, unit]) if self._pieces else unit
            self._pieces.append(piece)

    def favour(self, counts: np.ndarray, projected: np.ndarray) -> None:
        """Adds to counts, (V,) int64, in place, at most a quarter of their sum, below 2³⁸."""
        if self._pieces:
            # Whole numbers below 2²⁴ throughout, which float32 adds up exactly in any order.
            near = (self._states @ _unit(projected)).astype(np.int64)
            behind = np.maximum((1 << 2 * UNIT_BITS) - near, 0) * SHARPNESS >> 2 * UNIT_BITS
            shares = self._exponential.take(behind, mode="clip")
            total = max(int(shares.sum()), 1 << PEAK_BITS)
            np.add.at(counts, self._pieces, (int(counts.sum()) >> 2) * shares // total)


def _unit(projected: np.ndarray) -> np.ndarray:
    """One long, in whole numbers of 2⁻¹⁰, which float32 holds."""
    return ((projected << UNIT_BITS) // max(1, isqrt(int(projected @ projected)))).astype(np.float32)
