"""Mask coder 1: masks on the latent grid, cell by cell, under contexts that a decision tree chose.

The grid is that of :mod:`.grid`; cells that an earlier object of the picture took are skipped. The tree, trained by
:mod:`sedic.training.masks.tree`, asks for one neighbour after the other (cells already coded, cells taken, the
picture's edges) and its leaf's counts, adapted while coding, give the probability.

Free cells are coded row by row as bits of probability ones / (zeros + ones) of the leaf that the answers lead to from
node 0: at a node with a question, the next node is ``children`` plus the answer. Behind each cell the leaf's count of
its value grows by ``STEP``; where both counts exceed ``MOST_COUNT`` together, they are halved, rounded up. The counts
begin anew for each object.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ..coder import Decoder, Encoder, load_table
from .grid import GridCoder

COUNT_UNIT = 256  # leaf counts are in 1/256, for probabilities near 0 and 1
STEP = 2 * COUNT_UNIT  # a coded cell counts twice: pictures differ more than their cells
MOST_COUNT = 1 << 24

# What the tree may ask: (plane, rows down, columns right) from the cell to be coded.
PLANES = MASK, TAKEN, LEFT, TOP, RIGHT, BOTTOM, ROW_ABOVE, ROWS_ABOVE = range(8)
MARGIN = 6
QUESTIONS = (
    *((MASK, 0, -d) for d in range(1, 7)),
    *((MASK, -1, d) for d in range(-5, 7)),
    *((MASK, -2, d) for d in range(-4, 6)),
    *((MASK, -3, d) for d in range(-3, 4)),
    *((MASK, -4, d) for d in (-2, 0, 2)),
    *((TAKEN, y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x),
    *((TAKEN, y, x) for y, x in ((0, 2), (2, 0), (-2, 0), (0, -2))),
    *((plane, 0, 0) for plane in (LEFT, TOP, RIGHT, BOTTOM, ROW_ABOVE, ROWS_ABOVE)),
)


class TreeCoder(GridCoder):
    """Writes or reads the masks of one file in turn."""

    def write_cells(self, encoder: Encoder, cells: np.ndarray) -> None:
        """See :class:`.grid.GridCoder`."""
        bits = cells.tolist()

        def write(row: int, column: int, ones: int, total: int) -> bool:
            encoder.bit(bits[row][column], ones, total)
            return bits[row][column]

        _visit(self.taken, write)

    def read_cells(self, decoder: Decoder) -> np.ndarray:
        """See :class:`.grid.GridCoder`."""
        return _visit(self.taken, lambda row, column, ones, total: decoder.bit(ones, total))


def question_planes(grid: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """The planes that the questions look at, with a margin of zeros: (8, rows + 2·MARGIN, columns + 2·MARGIN) uint8."""
    rows, columns = grid.shape
    planes = np.zeros((len(PLANES), rows + 2 * MARGIN, columns + 2 * MARGIN), np.uint8)
    inner = planes[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    inner[MASK], inner[TAKEN] = grid, taken
    inner[LEFT, :, 0] = inner[TOP, 0] = inner[RIGHT, :, -1] = inner[BOTTOM, -1] = 1
    filled = np.asarray(grid.any(axis=1))
    inner[ROW_ABOVE, 1:] = filled[:-1, None]
    inner[ROWS_ABOVE, 1:] = np.logical_or.accumulate(filled)[:-1, None]
    return planes


@lru_cache(maxsize=1)
def _tree() -> tuple[list[int], list[int], list[int], list[int]]:
    """Per node: the question (−1: a leaf), the node for "no" (the next one is for "yes"), counts of 0 and of 1."""
    table = load_table("mask1")
    zeros, ones = table["counts"].T.tolist()
    return table["questions"].tolist(), table["children"].tolist(), zeros, ones


def _visit(taken: np.ndarray, code: Callable[[int, int, int, int], bool]) -> np.ndarray:
    """Calls ``code(row, column, ones, total)`` for each free cell in turn; it returns the cell, written or read."""
    questions, children, *counts = _tree()
    zeros, ones = (list(c) for c in counts)
    rows, columns = taken.shape
    planes = question_planes(np.zeros_like(taken), taken)
    _, _, stride = planes.shape
    plane_size = planes[0].size
    cells = bytearray(planes.tobytes())
    offsets = [plane * plane_size + y * stride + x for plane, y, x in QUESTIONS]
    any_above = False
    for row in range(rows):
        first = (row + MARGIN) * stride + MARGIN
        above = first - stride
        filled = row > 0 and any(cells[above : above + columns])
        any_above = any_above or filled
        for plane, value in ((ROW_ABOVE, filled), (ROWS_ABOVE, any_above)):
            start = plane * plane_size + first
            cells[start : start + columns] = bytes([value]) * columns
        for column in range(columns):
            here = first + column
            if cells[TAKEN * plane_size + here]:
                continue
            node = 0
            while (question := questions[node]) >= 0:
                node = children[node] + cells[here + offsets[question]]
            bit = code(row, column, ones[node], zeros[node] + ones[node])
            cells[here] = bit
            if bit:
                ones[node] += STEP
            else:
                zeros[node] += STEP
            if zeros[node] + ones[node] > MOST_COUNT:
                zeros[node], ones[node] = (zeros[node] + 1) // 2, (ones[node] + 1) // 2
    coded = np.frombuffer(cells, np.uint8, plane_size).reshape(-1, stride)
    return coded[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(bool)
