"""The models of a grid's cells in turn, each from what a reader knows then; the network is asked for many at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import cell_model
from .context import CODED, MARGIN, fixed_contexts, row_context

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
        fixed = fixed_contexts(taken, number).reshape(taken.size, -1)
        packed = np.packbits(fixed, axis=-1)
        _, first, kinds = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
        network = cell_model.network()
        split = len(CODED), len(CODED) + fixed.shape[1]
        self._coded_weights, fixed_weights, self._row_weights = np.split(network.weights[0], split)
        self._sums = fixed[first].astype(np.float64) @ fixed_weights + network.biases[0]
        self._kinds = kinds.reshape(taken.shape).astype(np.int32)
        stride = self.columns + 2 * MARGIN
        self._cells = np.zeros((self.rows + MARGIN) * stride, np.uint8)
        self._offsets = CODED @ [stride, 1]
        self._network, self._models = network, cell_model.models()

    def begin(self, row: int, above: bool, area: int, guess: np.ndarray | None) -> None:
        """Goes to a row.

        Args:
            row: its number.
            above, area: as of :func:`.row_context`.
            guess: what its cells will be, (columns,) bool; None: those above.
        """
        by_row = row_context(row, self.rows, self.columns, above, area)
        self._row_sums = self._sums + np.array(by_row, np.float64) @ self._row_weights
        stride = self.columns + 2 * MARGIN
        self._start = (row + MARGIN) * stride + MARGIN
        if guess is None:
            guess = self._cells[self._start - stride :][: self.columns]
        self._cells[self._start :][: self.columns] = guess & self.free[row]
        self._guess = self._cells[self._start :][: self.columns].tolist()
        self._row_kinds, self._free = self._kinds[row], np.flatnonzero(self.free[row])
        self._known: dict[bytes, Any] = {}
        self._ready: list[tuple[bytes, Any]] = [(b"", None)] * self.columns
        self._wrong = 0  # from here to this column contexts hold a cell that turned out otherwise
        if len(self._free):
            self._ask(self._free)

    def model(self, column: int) -> tuple[bytes, Any]:
        """What tells the context of the row's next free cell from others, and the model to code the cell under."""
        if column < self._wrong:
            self._ask(self._free[slice(*np.searchsorted(self._free, (column, self._wrong)))])
            self._wrong = 0
        return self._ready[column]

    def put(self, column: int, inside: bool) -> None:
        """Takes in the cell, now that it is known."""
        if inside != self._guess[column]:
            self._cells[self._start + column] = inside
            self._wrong = column + REACH + 1

    def _ask(self, columns: np.ndarray) -> None:
        """Asks the network for cells of the row, as they and those before them are guessed."""
        near = self._cells[self._offsets + (self._start + columns)[:, None]]
        kinds = self._row_kinds[columns]
        packed = np.packbits(near, axis=-1)
        keys = np.concatenate([packed, kinds[:, None].view(np.uint8).reshape(len(columns), -1)], axis=1)
        named = keys.view(f"V{keys.shape[1]}").ravel().tolist()
        new = {key: place for place, key in enumerate(named) if key not in self._known}
        if new:
            places = list(new.values())
            outputs = self._network.rest(near[places] @ self._coded_weights + self._row_sums[kinds[places]])
            indices = cell_model.logit_index(outputs[:, 0]).tolist()
            self._known |= {key: self._models[index] for key, index in zip(new, indices, strict=True)}
        for column, key in zip(columns.tolist(), named, strict=True):
            self._ready[column] = key, self._known[key]

    def grid(self) -> np.ndarray:
        """The cells, (rows, columns) bool."""
        return self._cells.reshape(-1, self.columns + 2 * MARGIN)[MARGIN:, MARGIN:-MARGIN].astype(bool)
