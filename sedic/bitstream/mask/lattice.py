"""The grids of mask coder 2: cells of a size of their own for each object, drawn with smooth outlines.

A picture is a lattice of units: pixels, or squares of 2, 4 or 8 pixels where there are more than 2²⁰. A cell is a
square of 3 to 24 units and 1 where at least half of it is inside. Drawn, a cell is not a block: a small network sees
5×5 cells and says which part of the middle one is inside; then as many units are added or removed as it takes for the
drawn mask to have the very cells it was drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..coder import load_table
from .grid import counted, to_grid
from .network import Network

MOST_UNITS = 1 << 20
MOST_CELLS = 24576
CELL_SIZES = (3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
PARTS = 8  # the network draws 8×8 parts of a cell
REACH = 2  # cells that it sees in each direction
SCORE_UNIT, MOST_SCORE = 1 << 8, 1 << 12  # interpolated, scores stay below 2²⁴
NEVER = 1 << 30


@dataclass(frozen=True)
class Lattice:
    """The units of a picture.

    Attributes:
        width: of the picture in pixels.
        height: likewise.
        unit: side of a unit in pixels.
    """

    width: int
    height: int
    unit: int

    @classmethod
    def of(cls, width: int, height: int) -> Lattice:
        """The finest that a picture of this size may have."""
        unit = 1
        while -(-width // unit) * -(-height // unit) > MOST_UNITS:
            unit *= 2
        return cls(width, height, unit)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of units."""
        return -(-self.height // self.unit), -(-self.width // self.unit)

    def grid_shape(self, cell: int) -> tuple[int, int]:
        """Rows and columns of cells of ``cell`` units."""
        rows, columns = self.shape
        return -(-rows // cell), -(-columns // cell)

    def sizes(self) -> list[int]:
        """The sizes of cells that a mask of this picture may have, in units."""
        return [c for c in CELL_SIZES if np.prod(self.grid_shape(c)) <= MOST_CELLS]

    def from_mask(self, mask: np.ndarray) -> np.ndarray:
        """The units of which at least half is inside: (height, width) bool -> ``shape``."""
        return mask if self.unit == 1 else to_grid(mask, self.unit)

    def to_mask(self, units: np.ndarray) -> np.ndarray:
        """The mask of the picture's size; ``from_mask`` gives the units again."""
        return units.repeat(self.unit, axis=0)[: self.height].repeat(self.unit, axis=1)[:, : self.width]


@dataclass
class Canvas:
    """The units of a picture that earlier objects took; later ones get what is left.

    Attributes:
        lattice: the picture's.
        taken: (rows, columns) bool units; replaced, never changed in place.
        number: objects that took something.
    """

    lattice: Lattice
    taken: np.ndarray
    number: int = 0

    @classmethod
    def of(cls, width: int, height: int) -> Canvas:
        """Nothing taken yet, of a picture of this size."""
        lattice = Lattice.of(width, height)
        return cls(lattice, np.zeros(lattice.shape, bool))

    def take(self, units: np.ndarray) -> None:
        """Gives (rows, columns) bool units to the next object."""
        self.taken = self.taken | units
        self.number += 1


def cells_of(units: np.ndarray, taken: np.ndarray, cell: int) -> np.ndarray:
    """The cells of which at least half is inside and less than half taken: both (H, W) bool units -> bool."""
    return to_grid(units, cell) & ~to_grid(taken, cell)


def draw(cells: np.ndarray, taken: np.ndarray, cell: int) -> np.ndarray:
    """The units that cells stand for, none of them taken; ``cells_of`` gives the cells again.

    Args:
        cells: (rows, columns) bool, none of which is taken.
        taken: (H, W) bool, units of earlier objects.
        cell: the side of a cell in units.

    Returns:
        (H, W) bool.
    """
    drawn = np.zeros_like(taken)
    if cells.any():
        # Cells beyond the network's reach of an inside cell are outside; what they look like matters to none inside.
        spans = [np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0)]
        first = [max(0, int(span[0]) - REACH - 1) for span in spans]
        last = [int(span[-1]) + REACH + 2 for span in spans]
        near = tuple(slice(f, e) for f, e in zip(first, last, strict=True))
        part = tuple(slice(f * cell, e * cell) for f, e in zip(first, last, strict=True))
        drawn[part] = _draw(cells[near], taken[part], cell)
    return drawn


def _draw(cells: np.ndarray, taken: np.ndarray, cell: int) -> np.ndarray:
    height, width = taken.shape
    rows, columns = cells.shape
    # rows,columns,8·8 -> 8·rows,8·columns
    scores = part_scores(cells, neighbourhoods(cells)).reshape(rows, columns, PARTS, PARTS).swapaxes(1, 2)
    scores = _resample(_resample(scores.reshape(rows * PARTS, columns * PARTS), cell, 0), cell, 1)[:height, :width]
    drawn = (scores > 0) & ~taken
    inside, pixels = counted(drawn, cell)
    owned = to_grid(taken, cell)
    wanted = np.where(cells, np.maximum(inside, (pixels + 1) // 2), np.minimum(inside, (pixels - 1) // 2))
    for row, column in np.argwhere((wanted != inside) & ~owned):
        part = slice(row * cell, (row + 1) * cell), slice(column * cell, (column + 1) * cell)
        # The likeliest units, the first of equal ones; a taken unit comes last.
        order = np.argsort(np.where(taken[part], NEVER, -scores[part]), axis=None, kind="stable")
        chosen = np.zeros(order.size, bool)
        chosen[order[: wanted[row, column]]] = True
        drawn[part] = chosen.reshape(taken[part].shape)
    return drawn


@lru_cache(maxsize=1)
def _network() -> Network:
    return Network(load_table("mask2"), "draw")


def neighbourhoods(cells: np.ndarray) -> np.ndarray:
    """Each cell's 5×5 cells, those outside the picture like the nearest inside: (rows, columns, 25) bool."""
    padded = np.pad(cells, REACH, mode="edge")
    rows, columns = cells.shape
    side = range(2 * REACH + 1)
    return np.stack([padded[y : y + rows, x : x + columns] for y in side for x in side], axis=-1)


def part_scores(cells: np.ndarray, near: np.ndarray) -> np.ndarray:
    """How surely each of the 8×8 parts of cells is inside, 0 is the border.

    Args:
        cells: (…) bool.
        near: their :func:`neighbourhoods`, (…, 25) bool.

    Returns:
        (…, 64) int32.
    """
    # Cells amidst their like are as sure as it gets; the network need not be asked.
    scores = np.where(cells, MOST_SCORE, -MOST_SCORE).astype(np.int32)[..., None].repeat(PARTS * PARTS, axis=-1)
    mixed = near.any(-1) & ~near.all(-1)
    if mixed.any():
        # Along an edge the same neighbourhoods come again and again: each is asked for once.
        asked = near[mixed]
        _, first, again = np.unique(asked @ (1 << np.arange(asked.shape[1])), return_index=True, return_inverse=True)
        found = np.clip(np.floor(_network()(asked[first]) / SCORE_UNIT), -MOST_SCORE, MOST_SCORE)
        scores[mixed] = found[again]
    return scores


def _resample(scores: np.ndarray, cell: int, axis: int) -> np.ndarray:
    """Linear interpolation along an axis from 8 parts a cell to ``cell`` units a cell; integers, 2·cell as large."""
    if cell == PARTS:
        return scores * (2 * cell)
    scores = scores.swapaxes(0, axis)  # what follows goes along the first axis; the memory's order stays
    cells = len(scores) // PARTS
    edged = np.concatenate([scores[:1], scores, scores[-1:]])
    result = np.empty_like(scores, shape=(cells * cell, scores.shape[1]))
    for unit in range(cell):
        # The middle of unit i lies at (2i + 1)·8 / (2·cell) parts, that of part k at k + 1/2.
        low, part = divmod((2 * unit + 1) * PARTS - cell, 2 * cell)
        lower, upper = (edged[first::PARTS][:cells] for first in (low + 1, low + 2))
        result[unit::cell] = lower * np.int32(2 * cell - part) + upper * np.int32(part)
    return result.swapaxes(0, axis)
