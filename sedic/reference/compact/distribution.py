"""From mean and scale to the widths of a symbol's intervals, by a table of integers."""

from __future__ import annotations

import copy

import numpy as np

from ...bitstream.coder import WHOLE
from .prior import MEAN_BITS

REACH = 8  # from the rounded mean: nearer symbols have their own interval, others escape
KINDS = 2 * REACH + 1
UNIT = 1 << MEAN_BITS
FARTHEST = REACH * UNIT  # from the mean, in 2⁻⁵, of a border between two intervals
SURE = WHOLE - (WHOLE >> 10)  # a symbol that is 0 with this probability is not coded


class Distribution:
    """Discretised logistic distributions, and, where an entropy model has them, zeros beside them."""

    _shares: np.ndarray  # of zeros, in 2⁻²⁴

    def __init__(self, table: np.ndarray) -> None:
        """``table``: see :func:`sedic.training.reference.integers.distributions`."""
        upper = table.astype(np.int64)
        self._table = np.concatenate([WHOLE - upper[:, :0:-1], upper], 1)  # at −FARTHEST … FARTHEST

    def with_shares(self, shares: np.ndarray) -> Distribution:
        """The same, and of zeros beside it the shares of :func:`sedic.training.reference.integers.shares`."""
        other = copy.copy(self)
        other._shares = shares.astype(np.int64)
        return other

    def widths(self, means: np.ndarray, scales: np.ndarray, zeros: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Of the symbols −8 … 8 around each mean, rounded; the first and the last stand for all beyond, too.

        Args:
            means: (n,) int64 in 2⁻⁵.
            scales: (n,) int64.
            zeros: (n,) int64, or None for the logistic distribution alone.

        Returns:
            The middles, (n,) int64, and the intervals, (n, 17) int64, in 2⁻²⁴, none empty, their sum 2²⁴.
        """
        middles = (means + UNIT // 2) >> MEAN_BITS
        borders = np.arange(-REACH, REACH) * UNIT + UNIT // 2 - (means - (middles << MEAN_BITS))[:, None]
        ends = np.full((len(means), KINDS), WHOLE, np.int64)
        ends[:, :-1] = self._table[scales[:, None], np.clip(borders, -FARTHEST, FARTHEST) + FARTHEST]
        if zeros is not None:
            share = self._shares[zeros][:, None]
            ends = (ends * (WHOLE - share) >> 24) + share * (np.arange(KINDS) >= REACH - middles[:, None])
            ends[:, -1] = WHOLE  # also where 0 lies beyond the reach
        ends = (ends * (WHOLE - KINDS) >> 24) + np.arange(1, KINDS + 1)
        return middles, np.diff(ends, axis=1, prepend=0)

    def sure(self, means: np.ndarray, scales: np.ndarray, zeros: np.ndarray | None) -> np.ndarray:
        """Which symbols are as good as known to be 0, (n,) bool."""
        near = np.abs(means) < UNIT // 2
        inside = np.clip(means, 1 - UNIT // 2, UNIT // 2 - 1)
        width = self._table[scales, UNIT // 2 - inside + FARTHEST] - self._table[scales, -UNIT // 2 - inside + FARTHEST]
        if zeros is not None:
            share = self._shares[zeros]
            width = (width * (WHOLE - share) >> 24) + share
        return near & (width >= SURE)
