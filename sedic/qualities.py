"""The references of one picture by one codec: the best of at most so many bytes, found by coding few of them.

A quality's bytes grow by nearly the same share with every step, so what two qualities take says which one to try next.
Most searches end behind three.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Generic, Protocol, TypeVar

from .progress import tell

STEP = 0.04  # natural logarithm of what a step of quality adds to the bytes, until two qualities are known
SURE, LIKELY = 0.4, 0.8  # of a step: with less to spare the next quality will not fit, most probably; probably
WHAT = "rate control"
PATIENCE = 3  # qualities that are tried before the probable is enough


class Coded(Protocol):
    """What is looked for: bytes in ``data``."""

    @property
    def data(self) -> bytes: ...


R = TypeVar("R", bound=Coded)


class Qualities(Generic[R]):
    """The references that there are, a quality each; coded when asked for, once."""

    def __init__(
        self,
        encode: Callable[[int], R],
        qualities: range,
        start: int,
        promised: Callable[[int], int | None] = lambda quality: None,
        known: dict[int, R] | None = None,
    ) -> None:
        """Takes what there is.

        Args:
            encode: codes the picture at a quality.
            qualities: those that can hold the picture, rising.
            start: the one to try first.
            promised: most bytes of a quality where the codec promises any: only then nothing is coded to know them.
            known: what is coded already.
        """
        self._encode, self._qualities, self._start, self._promised = encode, qualities, start, promised
        self._made = dict(known or {})

    @property
    def first(self) -> R:
        """One of them, the cheapest to have."""
        return next(iter(self._made.values())) if self._made else self._at(self._start)

    @property
    def smallest(self) -> R:
        """The one of the lowest quality."""
        return self._at(self._qualities[0])

    @property
    def most_bytes(self) -> float:
        """What the best takes at most; infinite while nobody knows."""
        last = self._qualities[-1]
        promised = self._promised(last)
        if promised is not None:
            return promised
        return len(self._made[last].data) if last in self._made else math.inf

    def fits(self, most_bytes: float) -> bool:
        """Whether one of them takes at most so many bytes."""
        known = any(len(made.data) <= most_bytes for made in self._made.values())
        return known or len(self.smallest.data) <= most_bytes

    def within(self, most_bytes: float) -> R:
        """The best of at most so many bytes, or the smallest where none is as small."""
        if self._promised(self._qualities[-1]) is not None:
            return self._at(self._within_promise(most_bytes))
        for tries in count():
            fitting, beyond = self._bracket(most_bytes)
            best = fitting
            if fitting is None and beyond <= self._qualities[0]:
                best = beyond
            if best is not None and (best == beyond or self._is_best(best, beyond, most_bytes, tries)):
                tell(WHAT, tries, tries)
                return self._made[best]
            tell(WHAT, tries, max(PATIENCE, tries) + 1)
            self._at(self._next(fitting, beyond, most_bytes))
        raise AssertionError("there are finitely many qualities")

    def _bracket(self, most_bytes: float) -> tuple[int | None, int]:
        """The best known quality that fits, and the least above it that is known not to; or one above all."""
        fitting = max((q for q, made in self._made.items() if len(made.data) <= most_bytes), default=None)
        above = [q for q in self._made if fitting is None or q > fitting]
        return fitting, min(above, default=self._qualities[-1] + 1)

    def _is_best(self, fitting: int, beyond: int, most_bytes: float, tries: int) -> bool:
        if fitting + 1 >= beyond or fitting >= self._qualities[-1]:
            return True
        spare = math.log(most_bytes / len(self._made[fitting].data)) if most_bytes < math.inf else math.inf
        return spare < (SURE if tries < PATIENCE else LIKELY) * self._step(fitting)

    def _next(self, fitting: int | None, beyond: int, most_bytes: float) -> int:
        """The quality to try: that which should just fit, between those that are known."""
        low = self._qualities[0] if fitting is None else fitting + 1
        high = min(beyond - 1, self._qualities[-1])
        if not self._made:
            return min(max(self._start, low), high)
        if most_bytes == math.inf:
            return high
        near = min(self._made, key=lambda q: abs(math.log(self._bytes(q) / max(most_bytes, 1))))
        guess = near + math.log(max(most_bytes, 1) / self._bytes(near)) / self._step(near, fitting, beyond)
        return min(max(math.floor(guess), low), high)

    def _step(self, near: int, fitting: int | None = None, beyond: int | None = None) -> float:
        """Logarithm of what a step adds around a quality: by the known ones on both sides, or the nearest two."""
        if fitting is not None and beyond is not None and beyond in self._made:
            a, b = fitting, beyond
        else:
            others = sorted((q for q in self._made if q != near), key=lambda q: abs(q - near))
            if not others:
                return STEP
            a, b = near, others[0]
        step = math.log(self._bytes(b) / self._bytes(a)) / (b - a)
        # Two neighbours say little: the symbols that a codec chooses make its bytes jump.
        return step if abs(b - a) > 3 and step > 0 else min(max(step, STEP / 4), STEP * 2)

    def _bytes(self, quality: int) -> int:
        return max(1, len(self._made[quality].data))

    def _within_promise(self, most_bytes: float) -> int:
        low, high = 0, len(self._qualities) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if (self._promised(self._qualities[middle]) or 0) <= most_bytes:
                low = middle
            else:
                high = middle - 1
        return self._qualities[low]

    def _at(self, quality: int) -> R:
        if quality not in self._made:
            self._made[quality] = self._encode(quality)
        return self._made[quality]


class OnlyOne(Generic[R]):
    """A reference that is there already, in place of :class:`Qualities`."""

    def __init__(self, reference: R) -> None:
        self.first = self.smallest = reference
        self.most_bytes: float = len(reference.data)

    def fits(self, most_bytes: float) -> bool:
        """Whether it takes at most so many bytes."""
        return len(self.first.data) <= most_bytes

    def within(self, most_bytes: float) -> R:
        """That one."""
        return self.first
