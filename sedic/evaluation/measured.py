"""What was measured of a set, and how it is said: means with their intervals, differences picture by picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from . import kept as on_disk
from .intervals import Interval, bootstrap, jackknife
from .kept import Task
from .metrics import METRICS, Metric

Kept = dict[str, np.ndarray]

FEWEST = 8
"""Pictures, below which an interval says nothing."""
_JACKKNIFED = 256  # most features of sets whose error is taken: of Inception's 2,048 it would take hours


@dataclass(frozen=True)
class Table:
    """Rows of cells under a heading; the first column names them."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default=())


class Measured:
    """One set of pictures with what is kept of their variants."""

    def __init__(self, todo: Sequence[Task]):
        self.tasks = todo
        self._kept: dict[tuple[int, str], Kept | None] = {}

    def kept(self, place: int, name: str) -> Kept | None:
        """A variant of one picture."""
        if (place, name) not in self._kept:
            self._kept[place, name] = on_disk.read(self.tasks[place], name)
        return self._kept[place, name]

    def rows(self, *names: str, objects: int = 0) -> list[list[Kept]]:
        """For each picture that has all of these variants, and so many objects, what is kept of each."""
        found = []
        for place, task in enumerate(self.tasks):
            kept = [self.kept(place, name) for name in names]
            if all(one is not None for one in kept) and (not objects or task.scene.objects >= objects):
                found.append([one for one in kept if one is not None])
        return found


def values(rows: Sequence[Kept], key: str) -> np.ndarray:
    """A figure of each picture."""
    return np.array([float(row[key]) if key in row else math.nan for row in rows])


def paired(before: Sequence[Kept], after: Sequence[Kept], key: str) -> Interval | None:
    """The difference after − before over the pictures that have both; None where there are none."""
    changes = values(after, key) - values(before, key)
    changes = changes[np.isfinite(changes)]
    return bootstrap(changes) if len(changes) else None


def of_set(metric: Metric, originals: Sequence[Kept], rows: Sequence[Kept]) -> tuple[float, float]:
    """A figure of a set and its standard error, nan where it is not taken.

    Raises:
        SedicError: the set is too small.
    """
    assert metric.distance is not None
    pairs = [(a[metric.features], b[metric.features]) for a, b in zip(originals, rows, strict=True)]
    pairs = [(a, b) for a, b in pairs if len(a) and len(b)]
    if not pairs or sum(len(a) for a, _ in pairs) < 2:
        return math.nan, math.nan
    parts = [[a for a, _ in pairs], [b for _, b in pairs]]
    if pairs[0][0].shape[1] > _JACKKNIFED or len(pairs) < FEWEST:
        return metric.distance(*(np.concatenate(part) for part in parts)), math.nan
    return jackknife(parts, metric.distance)


def verdict(change: Interval, better: str) -> str:
    """What a paired difference shows, in a word or two."""
    if change.count < FEWEST:
        return "too few pictures"
    if not change.settled:
        return "no difference shown"
    return "better" if (change.low > 0) == (better == "higher") else "worse"


def told(found: Interval, digits: int, signed: bool = False) -> str:
    """A mean and its interval."""
    sign = "+" if signed else ""
    return f"{found.mean:{sign}.{digits}f} ({found.low:{sign}.{digits}f} … {found.high:{sign}.{digits}f})"


def bpp(rows: Sequence[Kept]) -> str:
    """Bits per pixel of all files together."""
    return f"{8 * sum(float(r['bytes']) for r in rows) / sum(float(r['pixels']) for r in rows):.4f}"


def mean_told(rows: Sequence[Kept], key: str, originals: Sequence[Kept]) -> str:
    """A figure's mean with its interval, or the set's with its error; a dash where there is none.

    Raises:
        SedicError: the set is too small.
    """
    metric = METRICS[key]
    if metric.load is None:
        value, error = of_set(metric, originals, rows)
        if not math.isfinite(value):
            return "–"
        return f"{value:.{metric.digits}f}" + (f" ± {error:.{metric.digits}f}" if math.isfinite(error) else "")
    numbers = values(rows, key)
    if np.isposinf(numbers).any():
        return "equal"
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return "–"
    found = bootstrap(numbers)
    return told(found, metric.digits) if found.count >= FEWEST else f"{found.mean:.{metric.digits}f}"
