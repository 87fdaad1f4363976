"""Cells told otherwise than they are where that pays: rate–distortion optimisation of a mask's outline.

A cell is 1 where at least half of it is inside. Near an outline that is often neither what is cheapest nor what is
drawn best: a writer may flip cells there, and a reader does not notice. What each flip saves and loses is estimated
for all at once, and the best that are far enough apart are made together. To count each of them instead came to the
same bytes on the Kodak masks, and takes longer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import cell_model
from .context import CODED, SIZE, contexts, fixed_contexts
from .grid import to_grid
from .lattice import PARTS, REACH, Canvas, neighbourhoods, part_scores

ROUNDS = 2
APART = 2  # cells between flips that are made together, in each direction
STALE = 4  # cells around a flip whose own estimates are made again, in each direction
MOST_SAVED = 4  # bits that the cells around may save; a flip that costs more by itself is not looked at further
NEAR = np.flatnonzero((np.abs(CODED) <= 6).all(1))  # of what a context holds: the rest hardly tells


def improved(
    canvas: Canvas, units: np.ndarray, cells: np.ndarray, size: int, cost: Callable[[np.ndarray], float], worth: float
) -> np.ndarray:
    """Cells whose bits and loss together are less.

    Args:
        canvas: what the objects before took.
        units: (H, W) bool, what the cells stand for.
        cells: (rows, columns) bool, none of them taken and at least one of them 1.
        size: of cells in units.
        cost: of cells, in bits, with what they lose.
        worth: bits that the whole intersection over union is worth in ``cost``.

    Returns:
        (rows, columns) bool, likewise.
    """
    rate, loss = _Rate(canvas, size), _Loss(canvas, units, size, cells.shape)
    found = cells.copy()
    gains = np.full(cells.shape, np.nan)
    for _ in range(ROUNDS):
        edge = _edge(found) & rate.free
        places = np.argwhere(edge & np.isnan(gains))
        if len(places):
            rate.look_at(found)
            added = rate.own(places) + worth * loss.added(found, places)
            likely = added < MOST_SAVED
            added[likely] += rate.others(places[likely])
            gains[tuple(places.T)] = -added
        chosen = _apart(np.where(edge, gains, 0))
        found[tuple(chosen.T)] ^= True
        for row, column in chosen.tolist():
            gains[_around(row, column, STALE)] = np.nan
    return found if found.any() and cost(found) < cost(cells) else cells


def _around(row: int, column: int, reach: int) -> tuple[slice, slice]:
    return slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1)


def _edge(cells: np.ndarray) -> np.ndarray:
    """Cells of which one above, below or beside is another, (rows, columns) bool."""
    result = np.zeros_like(cells)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = cells[one] != cells[other]
        result[one] |= differ
        result[other] |= differ
    return result


def _apart(gains: np.ndarray) -> np.ndarray:
    """Places of the largest gains above 0, none near another: (n, 2)."""
    chosen, blocked = [], np.zeros(gains.shape, bool)
    places = np.argwhere(gains > 0)
    for row, column in places[np.argsort(-gains[tuple(places.T)], kind="stable")].tolist():
        if not blocked[row, column]:
            chosen.append((row, column))
            blocked[_around(row, column, APART)] = True
    return np.array(chosen, int).reshape(-1, 2)


class _Rate:
    """What flips add to the bits of a grid of cells, of ``size`` units each."""

    def __init__(self, canvas: Canvas, size: int) -> None:
        taken = to_grid(canvas.taken, size)
        self.free = ~taken
        self._fixed = fixed_contexts(taken, canvas.number)
        self._network, self._costs = cell_model.network(), cell_model.costs()
        # In float32 the first layer's sums are exact, as those of :class:`.network.Network` are.
        self._first = self._network.weights[0].astype(np.float32)

    def look_at(self, cells: np.ndarray) -> None:
        """Finds the models of all cells, (rows, columns) bool, of which :meth:`own` and :meth:`others` then speak."""
        self._cells = cells
        sums = contexts(cells, self._fixed).reshape(-1, SIZE).astype(np.float32) @ self._first
        self._sums = sums + self._network.biases[0].astype(np.float32)
        self._now = self._models(self._sums)

    def own(self, places: np.ndarray) -> np.ndarray:
        """What flips at (n, 2) places add to the bits of the cells themselves, (n,)."""
        place = places @ [self._cells.shape[1], 1]
        model, value = self._now[place], self._cells.ravel()[place].astype(int)
        return (self._costs[model, 1 - value] - self._costs[model, value]) / cell_model.COST_UNIT

    def others(self, places: np.ndarray) -> np.ndarray:
        """What they add to those of the cells that see them, (n,)."""
        seeing = places[:, None] - CODED[NEAR]  # n, seen, 2
        flip, seen = np.nonzero((seeing >= 0).all(-1) & (seeing < self._cells.shape).all(-1))
        place = seeing[flip, seen] @ [self._cells.shape[1], 1]
        flip, seen, place = (part[self.free.ravel()[place]] for part in (flip, seen, place))
        sign = np.where(self._cells[tuple(places.T)], -1, 1).astype(np.float32)
        after = self._models(self._sums[place] + self._first[NEAR[seen]] * sign[flip, None])
        value = self._cells.ravel()[place].astype(int)
        added = self._costs[after, value] - self._costs[self._now[place], value]
        return np.bincount(flip, added, len(places)) / cell_model.COST_UNIT

    def _models(self, first: np.ndarray) -> np.ndarray:
        return cell_model.logit_index(self._network.rest(first)[:, 0])


class _Loss:
    """What flips add to 1 − intersection over union, nearly: outlines as the drawing network has them, in parts."""

    def __init__(self, canvas: Canvas, units: np.ndarray, size: int, shape: tuple[int, ...]) -> None:
        self._inside = _parts(units, size, shape)
        self._outside = _parts(~canvas.taken, size, shape) - self._inside
        self._whole = np.count_nonzero(units)

    def added(self, cells: np.ndarray, places: np.ndarray) -> np.ndarray:
        """(rows, columns) bool and (n, 2) places -> (n,)."""
        near = neighbourhoods(cells)
        drawn = part_scores(cells, near) > 0
        hit, spilt = _sums(self._inside * drawn), _sums(self._outside * drawn)
        offsets = np.argwhere(np.ones((2 * REACH + 1, 2 * REACH + 1), bool)) - REACH
        around = places[:, None] + offsets  # n, 25, 2
        flip, offset = np.nonzero((around >= 0).all(-1) & (around < cells.shape).all(-1))
        place = tuple(around[flip, offset].T)
        seen = near[place]
        # Of the cells that the one at ``offset`` from the flipped one sees, this is on its other side.
        seen[np.arange(len(seen)), len(offsets) - 1 - offset] ^= True
        drawn = part_scores(seen[:, len(offsets) // 2], seen) > 0
        hits = np.bincount(flip, _sums(self._inside[place] * drawn) - hit[place], len(places))
        spills = np.bincount(flip, _sums(self._outside[place] * drawn) - spilt[place], len(places))
        union = self._whole + spilt.sum()
        return hit.sum() / union - (hit.sum() + hits) / (union + spills)


def _sums(parts: np.ndarray) -> np.ndarray:
    """(…, 64) -> (…,): exact, as parts are sixty-fourths, so the same flips are chosen on every machine."""
    return parts.sum(-1, dtype=np.float64)


def _parts(units: np.ndarray, size: int, shape: tuple[int, ...]) -> np.ndarray:
    """Units inside each of the 8×8 parts of each cell: (H, W) bool -> (rows, columns, 64) float32."""
    rows, columns = shape
    parts = _along(_along(units.astype(np.float32), size, rows).T, size, columns).T
    return parts.reshape(rows, PARTS, columns, PARTS).swapaxes(1, 2).reshape(rows, columns, -1)


def _along(values: np.ndarray, size: int, cells: int) -> np.ndarray:
    """Sums over the parts of cells along the first axis, whose last cell may be cut."""
    sums = np.zeros((len(values) + 2, values.shape[1]), np.float32)
    np.cumsum(values, 0, out=sums[1:-1])
    sums[-1] = sums[-2]
    ends = np.minimum(np.arange(cells * PARTS + 1) * size / PARTS, len(values))
    below = ends.astype(int)
    share = (ends - below).astype(np.float32)[:, None]
    return np.diff(sums[below] * (1 - share) + sums[below + 1] * share, axis=0)
