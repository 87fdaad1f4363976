"""The models of a grid's cells in turn, each from what a reader knows then; the network is asked for many at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

from . import cell_model
from .context import CODED, FIXED, MARGIN, distinct, fixed_planes, packed, row_context

REACH = max(-x for y, x in CODED.tolist() if y == 0)  # cells of its own row that a context sees


class Contexts:
    """The contexts of one object's cells, row by row.

    Args:
        taken: (rows, columns) bool, cells of earlier objects.
        number: how many objects there were.

    Attributes:
        free: (rows, columns) bool.
    """

    def __init__(self, taken: np.ndarray, number: int) -> None:
        self.rows, self.columns = taken.shape
        self.free = ~taken
        fixed = packed(fixed_planes(taken, number), np.ones_like(taken))
        first, kinds = distinct(fixed)
        network = cell_model.network()
        self._coded_weights, fixed_weights, self._row_weights = np.split(
            network.weights[0], (len(CODED), len(CODED) + FIXED)
        )
        different = np.unpackbits(fixed[first], axis=-1, count=FIXED).astype(np.float64)
        self._sums = different @ fixed_weights + network.biases[0]
        self._kinds = kinds.reshape(taken.shape).astype(np.int32)
        stride = self.columns + 2 * MARGIN
        self._cells = np.zeros((self.rows + MARGIN) * stride, np.uint8)
        self._offsets = CODED @ [stride, 1]
        self._network, self._models = network, cell_model.models()
        self._by_row: list[bool] = []
        self._known: dict[bytes, Any] = {}

    def begin(self, row: int, above: bool, area: int) -> None:
        """Goes to a row, whose cells are taken for those above until they are known.

        Args:
            row: its number.
            above, area: as of :func:`.row_context`.
        """
        by_row = row_context(row, self.rows, self.columns, above, area)
        if by_row != self._by_row:  # else what was asked in the row before holds in this one, too
            self._by_row, self._known = by_row, {}
            self._row_sums = self._sums + np.array(by_row, np.float64) @ self._row_weights
        stride = self.columns + 2 * MARGIN
        self._start = (row + MARGIN) * stride + MARGIN
        self._cells[self._start :][: self.columns] = (
            self._cells[self._start - stride :][: self.columns] & self.free[row]
        )
        self._row_kinds, self._free = self._kinds[row], np.flatnonzero(self.free[row])

    def read(self, decode: Callable[[Any], int]) -> tuple[int, int]:
        """Reads the row's free cells by ``decode(model)``: how many are inside, and how many contexts they had."""
        free, start = self._free.tolist(), self._start
        if not free:
            return 0, 0
        guess = self._cells[start:][: self.columns].tolist()
        asked: list[tuple[bytes, Any]] = self._ask(self._free)
        seen, inside, wrong = set[bytes](), 0, -1  # up to ``wrong`` contexts hold a cell that turned out otherwise
        for place, column in enumerate(free):
            if column <= wrong:
                end = bisect_right(free, wrong)
                asked[place:end] = self._ask(self._free[place:end])
                wrong = -1
            key, model = asked[place]
            seen.add(key)
            cell = decode(model)
            inside += cell
            if cell != guess[column]:
                self._cells[start + column] = cell
                wrong = column + REACH
        return inside, len(seen)

    def _ask(self, columns: np.ndarray) -> list[tuple[bytes, Any]]:
        """What tells the contexts of cells of the row from others, and the models to code the cells under.

        The network is asked for those that it has not been asked for, as the cells before them are known or guessed.
        """
        near = self._cells[self._offsets + (self._start + columns)[:, None]]
        kinds = self._row_kinds[columns]
        near_bytes = np.packbits(near, axis=-1)
        keys = np.concatenate([near_bytes, kinds[:, None].view(np.uint8).reshape(len(columns), -1)], axis=1)
        named = keys.view(f"V{keys.shape[1]}").ravel().tolist()
        new = {key: place for place, key in enumerate(named) if key not in self._known}
        if new:
            places = list(new.values())
            outputs = self._network.rest(near[places] @ self._coded_weights + self._row_sums[kinds[places]])
            indices = cell_model.logit_index(outputs[:, 0]).tolist()
            self._known |= {key: self._models[index] for key, index in zip(new, indices, strict=True)}
        return [(key, self._known[key]) for key in named]

    def grid(self) -> np.ndarray:
        """The cells, (rows, columns) bool."""
        return self._cells.reshape(-1, self.columns + 2 * MARGIN)[MARGIN:, MARGIN:-MARGIN].astype(bool)
