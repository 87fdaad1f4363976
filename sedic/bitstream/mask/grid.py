"""What mask coders on the latent grid share: cells of 8×8 pixels, cells taken, whether there is a mask at all.

A cell is 8×8 pixels (doubled until the grid has at most 65,536 cells) and 1 where at least half of it is inside.
Of each object one symbol under ``PRESENCE`` is coded first: no mask, an empty one, or cells, which follow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..coder import BitstreamError, Decoder, Encoder

SMALLEST_CELL = 8
MOST_CELLS = 65536
ABSENT, EMPTY, CELLS = range(3)
PRESENCE = [1, 1, 30]


@dataclass(frozen=True)
class MaskChoice:
    """What a writer of masks may choose; a reader needs none of it.

    Attributes:
        cell: the side of a cell in pixels, the nearest that the coder has is taken; None lets ``price`` decide.
        price: bits that a hundredth of an object's intersection over union is worth.
        smooth: whether cells at the edge may be flipped where that is worth it, by the same price. On the 16 Kodak
            pictures the masks then take 64 instead of 72 bytes at the same intersection over union.
    """

    cell: int | None = None
    price: float = 35.0
    smooth: bool = True


class GridCoder(ABC):
    """A :class:`MaskCoder` but for the cells, which a subclass writes and reads, knowing those that are ``taken``."""

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._cell = cell_size(width, height)
        self.taken = np.zeros(grid_shape(width, height), bool)

    @abstractmethod
    def write_cells(self, encoder: Encoder, cells: np.ndarray) -> None:
        """Writes ``cells``, (rows, columns) bool, at least one of them 1 and none of them in ``taken``."""

    @abstractmethod
    def read_cells(self, decoder: Decoder) -> np.ndarray:
        """Reads what :meth:`write_cells` wrote with the same ``taken``."""

    def prepare(self, masks: Sequence[np.ndarray | None], choice: MaskChoice) -> None:
        """See :class:`MaskCoder`; here the grid is the same for all masks."""
        del masks, choice

    def write(self, encoder: Encoder, mask: np.ndarray | None) -> np.ndarray | None:
        """See :class:`MaskCoder`."""
        grid = None if mask is None else to_grid(mask, self._cell) & ~self.taken
        self.write_grid(encoder, grid)
        return grid

    def write_grid(self, encoder: Encoder, grid: np.ndarray | None) -> None:
        """See :class:`MaskCoder`."""
        if grid is None:
            encoder.symbol(ABSENT, PRESENCE)
            return
        free = grid & ~self.taken
        encoder.symbol(CELLS if free.any() else EMPTY, PRESENCE)
        if free.any():
            self.write_cells(encoder, free)
            self.taken = self.taken | free

    def read(self, decoder: Decoder) -> np.ndarray | None:
        """See :class:`MaskCoder`."""
        presence = decoder.symbol(PRESENCE)
        if presence == ABSENT:
            return None
        if presence == EMPTY:
            return np.zeros_like(self.taken)
        cells = self.read_cells(decoder)
        if not cells.any():
            raise BitstreamError("The coded mask is damaged; fetch the file again.")
        self.taken = self.taken | cells
        return cells

    def picture(self, grid: np.ndarray) -> np.ndarray:
        """See :class:`MaskCoder`."""
        return from_grid(grid, self._cell, *self._size)


def cell_size(width: int, height: int) -> int:
    """The side of a cell in pixels for a picture of this size."""
    cell = SMALLEST_CELL
    while -(-width // cell) * -(-height // cell) > MOST_CELLS:
        cell *= 2
    return cell


def grid_shape(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the grid for a picture of this size."""
    cell = cell_size(width, height)
    return -(-height // cell), -(-width // cell)


def to_grid(mask: np.ndarray, cell: int) -> np.ndarray:
    """The cells of which at least half is inside.

    Args:
        mask: (H, W) bool.
        cell: the side of a cell; the last row and column may be partial cells.

    Returns:
        (⌈H/cell⌉, ⌈W/cell⌉) bool.
    """
    inside, pixels = counted(mask, cell)
    return inside * 2 >= pixels


def counted(mask: np.ndarray, cell: int) -> tuple[np.ndarray, np.ndarray]:
    """How many pixels of each cell are inside, and how many it has: both (⌈H/cell⌉, ⌈W/cell⌉) int64.

    Args:
        mask: (H, W) bool.
        cell: the side of a cell; the last row and column may be partial cells.
    """
    height, width = mask.shape
    rows, columns = -(-height // cell), -(-width // cell)
    padded = np.pad(mask, ((0, rows * cell - height), (0, columns * cell - width)))
    # Rows first, in the smallest numbers that hold their sums: that is what takes the time.
    downwards = padded.view(np.uint8).reshape(rows, cell, -1).sum(1, dtype=np.uint8 if cell < 256 else np.int64)
    inside = downwards.reshape(rows, columns, cell).sum(2, dtype=np.int64)
    sides = [np.minimum(cell, side - np.arange(0, side, cell)) for side in (height, width)]
    return inside, np.outer(*sides)


def from_grid(grid: np.ndarray, cell: int, width: int, height: int) -> np.ndarray:
    """The mask of a picture's size, (H, W) bool, each cell's pixels alike; ``to_grid`` gives the grid again."""
    return grid.repeat(cell, axis=0)[:height].repeat(cell, axis=1)[:, :width]
