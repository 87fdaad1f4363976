"""Mask coder 2: each object on a grid of its own, cell by cell, under a small network's probabilities.

The network, trained by :mod:`sedic.training.masks`, computes in integers (:mod:`.network`) from a cell's context
(:mod:`.context`) how probably it is inside. Grids and how they are drawn: :mod:`.lattice`; which grid a mask gets:
:mod:`.choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..coder import BitstreamError, Decoder, Encoder, exact_bit_model, load_table
from .choice import cells_for, plan, smoothed
from .context import CODED, MARGIN, SIZE, contexts, fixed_contexts, row_context
from .grid import ABSENT, CELLS, EMPTY, PRESENCE, MaskChoice, to_grid
from .lattice import CELL_SIZES, Lattice, draw
from .network import Network

SIZE_COUNTS = {3: 6, 4: 8, 5: 10, 6: 10, 8: 14, 10: 14, 12: 14, 16: 12, 20: 8, 24: 4}
LOGIT_UNIT = 1 << 11  # the network's outputs in 1/2¹⁶ become steps of 1/32
COST_UNIT = 256
OTHER_SIZE = [31, 1]  # an object seldom has cells of another size than the one before
GRID_WORK, NETWORK_WORK = 20_000, 12  # microseconds: drawing an object; asking the network once


@dataclass(frozen=True, eq=False)
class MaskGrid:
    """One object's mask as a file holds it.

    Attributes:
        cells: (rows, columns) bool.
        cell: their side in units, see :class:`.lattice.Lattice`.
        drawn: the units inside, as ``np.packbits`` of all rows.
    """

    cells: np.ndarray
    cell: int
    drawn: np.ndarray

    def any(self) -> bool:
        """Whether a cell is inside."""
        return bool(self.cells.any())


class NeuralCoder:
    """Writes or reads the masks of one file in turn."""

    def __init__(self, width: int, height: int) -> None:
        self.lattice = Lattice.of(width, height)
        self.taken = np.zeros(self.lattice.shape, bool)
        self.number = 0  # objects that took something
        self._last_size = 0
        self._choice, self._planned = MaskChoice(), list[int]()

    def prepare(self, masks: Sequence[np.ndarray | None], choice: MaskChoice) -> None:
        """See :class:`.MaskCoder`."""
        self._choice = choice
        self._planned = plan(self, [None if m is None else self.lattice.from_mask(m) for m in masks], choice)

    def write(self, encoder: Encoder, mask: np.ndarray | None) -> None:
        """See :class:`.MaskCoder`."""
        if not self._planned:
            self.prepare([mask], self._choice)
        size = self._planned.pop(0)
        if mask is None:
            encoder.symbol(ABSENT, PRESENCE)
            return
        units = self.lattice.from_mask(mask) & ~self.taken
        cells, size = cells_for(self, units, size)
        if self._choice.smooth and cells.any():
            cells = smoothed(self, units, cells, size, self._choice.price)
        self._write(encoder, cells, size)

    def write_grid(self, encoder: Encoder, grid: MaskGrid | None) -> None:
        """See :class:`.MaskCoder`."""
        self._planned = self._planned[1:]
        if grid is None:
            encoder.symbol(ABSENT, PRESENCE)
        else:
            self._write(encoder, grid.cells & ~to_grid(self.taken, grid.cell), grid.cell)

    def _write(self, encoder: Encoder, cells: np.ndarray, size: int) -> None:
        encoder.symbol(CELLS if cells.any() else EMPTY, PRESENCE)
        if not cells.any():
            return
        sizes = self.lattice.sizes()
        if self._last_size:
            encoder.symbol(int(size != self._last_size), OTHER_SIZE)
        if size != self._last_size:
            encoder.symbol(sizes.index(size), [SIZE_COUNTS[s] for s in sizes])
        bits = cells.tolist()

        def write(row: int, column: int, model: Any) -> bool:
            encoder.encode(bits[row][column], model)
            return bits[row][column]

        self._visit(size, write, encoder.spend)
        self.take(cells, size)

    def read(self, decoder: Decoder) -> MaskGrid | None:
        """See :class:`.MaskCoder`."""
        presence = decoder.symbol(PRESENCE)
        if presence == ABSENT:
            return None
        sizes = self.lattice.sizes()
        if presence == EMPTY:
            size = sizes[-1]
            return MaskGrid(np.zeros(self.lattice.grid_shape(size), bool), size, np.packbits(self.taken & False))
        size = self._last_size
        if not size or decoder.symbol(OTHER_SIZE):
            size = sizes[decoder.symbol([SIZE_COUNTS[s] for s in sizes])]
            if size == self._last_size:
                raise BitstreamError("The coded mask is damaged; fetch the file again.")
        cells = self._visit(size, lambda row, column, model: bool(decoder.decode(model)), decoder.spend)
        if not cells.any():
            raise BitstreamError("The coded mask is damaged; fetch the file again.")
        return MaskGrid(cells, size, np.packbits(self.take(cells, size)))

    def picture(self, grid: MaskGrid) -> np.ndarray:
        """See :class:`.MaskCoder`."""
        units = np.unpackbits(grid.drawn, count=self.taken.size).astype(bool)
        return self.lattice.to_mask(units.reshape(self.taken.shape))

    def bits(self, cells: np.ndarray, cell: int) -> float:
        """What the next object's cells would cost, nearly."""
        free = ~to_grid(self.taken, cell)
        if not free.any():
            return 0.0
        seen = contexts(cells, fixed_contexts(~free, self.number))[free]
        packed = np.packbits(seen, axis=-1)
        rows, place = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_inverse=True)
        different = np.unpackbits(rows.view(np.uint8).reshape(len(rows), -1), axis=-1, count=SIZE)
        index = _logit_index(_network()(different)[:, 0])[place]
        return int(_costs()[index, cells[free].astype(int)].sum()) / COST_UNIT

    def take(self, cells: np.ndarray, cell: int) -> np.ndarray:
        """Draws the next object's cells, (H, W) bool units, which then are taken."""
        drawn = draw(cells, self.taken, cell)
        self.taken = self.taken | drawn
        self.number += 1
        self._last_size = cell
        return drawn

    def _visit(self, cell: int, code: Callable[[int, int, Any], bool], spend: Callable[[int], None]) -> np.ndarray:
        """Calls ``code(row, column, model)`` for each free cell in turn; it returns the cell, written or read."""
        network, models = _network(), _models()
        taken = to_grid(self.taken, cell)
        rows, columns = taken.shape
        fixed = fixed_contexts(taken, self.number).reshape(rows * columns, -1)
        packed = np.packbits(fixed, axis=-1)
        _, first, kind = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
        split = len(CODED), len(CODED) + fixed.shape[1]
        coded_weights, fixed_weights, row_weights = np.split(network.weights[0], split)
        sums = fixed[first].astype(np.float64) @ fixed_weights + network.biases[0]
        kinds = kind.reshape(rows, columns).tolist()
        free = (~taken).tolist()
        stride = columns + 2 * MARGIN
        cells = np.zeros((rows + MARGIN) * stride, np.uint8)
        offsets = CODED @ [stride, 1]
        above, area = False, 0
        spend(GRID_WORK + rows * columns)
        for row in range(rows):
            by_row = row_context(row, rows, columns, above, area)
            row_sums = sums + np.array(by_row, np.float64) @ row_weights
            known: dict[tuple[bytes, int], Any] = {}
            start = (row + MARGIN) * stride + MARGIN
            inside = 0
            for column in range(columns):
                if not free[row][column]:
                    continue
                near = cells.take(offsets + (start + column))
                key = near.tobytes(), kinds[row][column]
                model = known.get(key)
                if model is None:
                    output = network.rest(near @ coded_weights + row_sums[key[1]])
                    model = known[key] = models[_logit_index(output[0])]
                if code(row, column, model):
                    cells[start + column] = 1
                    inside += 1
            spend(len(known) * NETWORK_WORK)
            above, area = inside > 0, area + inside
        return cells.reshape(-1, stride)[MARGIN:, MARGIN:-MARGIN].astype(bool)


@lru_cache(maxsize=1)
def _network() -> Network:
    return Network(load_table("mask2"), "cell")


@lru_cache(maxsize=1)
def _ones() -> np.ndarray:
    """Probability of 1 in 1/2²⁴ for each step of 1/32 of the logit, from the least to the greatest."""
    return load_table("mask2")["ones"].astype(np.int64)


def _logit_index(output: Any) -> Any:
    half = len(_ones()) // 2
    return np.clip(np.floor(output / LOGIT_UNIT + 0.5), -half, half).astype(int) + half


@lru_cache(maxsize=1)
def _models() -> list[Any]:
    return [exact_bit_model(ones) for ones in _ones().tolist()]


@lru_cache(maxsize=1)
def _costs() -> np.ndarray:
    """What a cell 0 or 1 costs under each model, in 1/256 bit, (steps, 2) integers."""
    return load_table("mask2")["costs"]


assert tuple(SIZE_COUNTS) == CELL_SIZES
