"""Mask coder 2: each object on a grid of its own, cell by cell, under a small network's probabilities.

How probably a cell is inside: :mod:`.cell_model`. Grids and how they are drawn: :mod:`.lattice`; which grid a mask
gets: :mod:`.choice`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..coder import BitstreamError, Decoder, Encoder
from . import cell_model
from .choice import cells_for, plan, smoothed
from .grid import ABSENT, CELLS, EMPTY, PRESENCE, MaskChoice, to_grid
from .in_turn import Contexts
from .lattice import CELL_SIZES, Canvas, draw

SIZE_COUNTS = {3: 6, 4: 8, 5: 10, 6: 10, 8: 14, 10: 14, 12: 14, 16: 12, 20: 8, 24: 4}
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
        self.canvas = Canvas.of(width, height)
        self._last_size = 0
        self._choice, self._planned = MaskChoice(), list[int]()

    def prepare(self, masks: Sequence[np.ndarray | None], choice: MaskChoice) -> None:
        """See :class:`.MaskCoder`."""
        self._choice = choice
        self._planned = plan(
            self.canvas, [None if m is None else self.canvas.lattice.from_mask(m) for m in masks], choice
        )

    def write(self, encoder: Encoder, mask: np.ndarray | None) -> MaskGrid | None:
        """See :class:`.MaskCoder`."""
        if not self._planned:
            self.prepare([mask], self._choice)
        size = self._planned.pop(0)
        if mask is None:
            encoder.symbol(ABSENT, PRESENCE)
            return None
        units = self.canvas.lattice.from_mask(mask) & ~self.canvas.taken
        cells, size = cells_for(self.canvas, units, size)
        if self._choice.smooth and cells.any():
            cells = smoothed(self.canvas, units, cells, size, self._choice.price)
        return MaskGrid(cells, size, np.packbits(self._write(encoder, cells, size)))

    def write_grid(self, encoder: Encoder, grid: MaskGrid | None) -> None:
        """See :class:`.MaskCoder`."""
        self._planned = self._planned[1:]
        if grid is None:
            encoder.symbol(ABSENT, PRESENCE)
        else:
            self._write(encoder, grid.cells & ~to_grid(self.canvas.taken, grid.cell), grid.cell)

    def _write(self, encoder: Encoder, cells: np.ndarray, size: int) -> np.ndarray:
        """Returns the units that the cells stand for, (H, W) bool."""
        encoder.symbol(CELLS if cells.any() else EMPTY, PRESENCE)
        if not cells.any():
            return self.canvas.taken & False
        sizes = self.canvas.lattice.sizes()
        if self._last_size:
            encoder.symbol(int(size != self._last_size), OTHER_SIZE)
        if size != self._last_size:
            encoder.symbol(sizes.index(size), [SIZE_COUNTS[s] for s in sizes])
        self._write_cells(encoder, cells, to_grid(self.canvas.taken, size))
        return self._draw(cells, size)

    def _write_cells(self, encoder: Encoder, cells: np.ndarray, taken: np.ndarray) -> None:
        """Writes all that are not taken, whose models are known at once; counts the work of :meth:`_read_cells`."""
        indices, contexts = cell_model.indices(cells, taken, self.canvas.number)
        encoder.symbols(cells[~taken], cell_model.widths()[indices])
        rows = np.repeat(np.arange(len(taken)), (~taken).sum(1))
        asked = len(np.unique(rows * taken.size + contexts))
        encoder.spend(GRID_WORK + taken.size + asked * NETWORK_WORK)

    def read(self, decoder: Decoder) -> MaskGrid | None:
        """See :class:`.MaskCoder`."""
        presence = decoder.symbol(PRESENCE)
        if presence == ABSENT:
            return None
        sizes = self.canvas.lattice.sizes()
        if presence == EMPTY:
            size = sizes[-1]
            return MaskGrid(
                np.zeros(self.canvas.lattice.grid_shape(size), bool), size, np.packbits(self.canvas.taken & False)
            )
        size = self._last_size
        if not size or decoder.symbol(OTHER_SIZE):
            size = sizes[decoder.symbol([SIZE_COUNTS[s] for s in sizes])]
            if size == self._last_size:
                raise BitstreamError("The coded mask is damaged; fetch the file again.")
        cells = self._read_cells(decoder, size)
        if not cells.any():
            raise BitstreamError("The coded mask is damaged; fetch the file again.")
        return MaskGrid(cells, size, np.packbits(self._draw(cells, size)))

    def picture(self, grid: MaskGrid) -> np.ndarray:
        """See :class:`.MaskCoder`."""
        units = np.unpackbits(grid.drawn, count=self.canvas.taken.size).astype(bool)
        return self.canvas.lattice.to_mask(units.reshape(self.canvas.taken.shape))

    def _draw(self, cells: np.ndarray, size: int) -> np.ndarray:
        """The units that the next object's cells stand for, (H, W) bool, which then are taken."""
        drawn = draw(cells, self.canvas.taken, size)
        self.canvas.take(drawn)
        self._last_size = size
        return drawn

    def _read_cells(self, decoder: Decoder, size: int) -> np.ndarray:
        """Each free cell in turn: (rows, columns) bool.

        The network is asked for many cells at once: for those ahead, too, as if they were the cells above them. Where
        they turn out otherwise it is asked again.
        """
        taken = to_grid(self.canvas.taken, size)
        contexts = Contexts(taken, self.canvas.number)
        above, area = False, 0
        decoder.spend(GRID_WORK + taken.size)
        for row in range(len(taken)):
            contexts.begin(row, above, area)
            inside, asked = contexts.read(decoder.decode)
            decoder.spend(asked * NETWORK_WORK)
            above, area = inside > 0, area + inside
        return contexts.grid()


assert tuple(SIZE_COUNTS) == CELL_SIZES
