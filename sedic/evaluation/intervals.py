"""How sure a mean is: intervals over pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS, LEVEL, SEED = 10_000, 0.95, 0


@dataclass(frozen=True)
class Interval:
    """A mean over ``count`` pictures, and where it lies with a probability of :data:`LEVEL`."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def settled(self) -> bool:
        """Whether 0 lies outside: the sign is known."""
        return self.low > 0 or self.high < 0


def bootstrap(values: Sequence[float] | np.ndarray) -> Interval:
    """Percentile interval of the mean (Efron 1979), the same every time.

    Args:
        values: one a picture, for a paired comparison the differences; at least one.
    """
    numbers = np.asarray(values, float)
    drawn = np.random.default_rng(SEED).integers(len(numbers), size=(DRAWS, len(numbers)))
    low, high = np.quantile(numbers[drawn].mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(numbers.mean()), float(low), float(high), len(numbers))


def jackknife(parts: Sequence[Sequence[np.ndarray]], figure: Callable[..., float]) -> tuple[float, float]:
    """A figure of whole sets and its standard error, from leaving out one picture at a time (Tukey 1958).

    For distances between sets: drawing with replacement would bias them, because pictures would occur twice.

    Args:
        parts: for each argument of ``figure`` an array (n, D) a picture, in the same order of pictures.
        figure: of the pictures' arrays put together.
    """
    whole = figure(*(np.concatenate(list(part)) for part in parts))
    count = len(parts[0])
    without = [
        figure(*(np.concatenate([rows for i, rows in enumerate(part) if i != left]) for part in parts))
        for left in range(count)
    ]
    return whole, float(np.sqrt((count - 1) * np.var(without)))
