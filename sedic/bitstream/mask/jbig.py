"""Mask coder 3: the ten cells that JBIG1 looks at, with counts that start from nothing; for comparison.

Two rows above and the row itself, as in ITU-T T.82's three-line template without its adaptive pixel; each of the 1,024
contexts counts what it has seen in this file, from one half of each. Cells of earlier objects are skipped.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..coder import Decoder, Encoder
from .grid import GridCoder

TEMPLATE = ((-2, -1), (-2, 0), (-2, 1), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (0, -2), (0, -1))
MARGIN = 2


class JbigCoder(GridCoder):
    """Writes or reads the masks of one file in turn."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._counts = [[1, 1] for _ in range(1 << len(TEMPLATE))]  # in halves

    def write_cells(self, encoder: Encoder, cells: np.ndarray) -> None:
        """See :class:`.grid.GridCoder`."""
        bits = cells.tolist()

        def write(row: int, column: int, ones: int, total: int) -> bool:
            encoder.bit(bits[row][column], ones, total)
            return bits[row][column]

        self._visit(write)

    def read_cells(self, decoder: Decoder) -> np.ndarray:
        """See :class:`.grid.GridCoder`."""
        return self._visit(lambda row, column, ones, total: decoder.bit(ones, total))

    def _visit(self, code: Callable[[int, int, int, int], bool]) -> np.ndarray:
        """Calls ``code(row, column, ones, total)`` for each free cell in turn; it returns the cell, written or read."""
        rows, columns = self.taken.shape
        stride = columns + 2 * MARGIN
        cells = bytearray((rows + MARGIN) * stride)
        offsets = [y * stride + x for y, x in TEMPLATE]
        taken = self.taken.tolist()
        for row in range(rows):
            start = (row + MARGIN) * stride + MARGIN
            for column in range(columns):
                if taken[row][column]:
                    continue
                context = 0
                for offset in offsets:
                    context = context << 1 | cells[start + column + offset]
                counts = self._counts[context]
                bit = code(row, column, counts[1], counts[0] + counts[1])
                counts[bit] += 2
                cells[start + column] = bit
        return np.frombuffer(cells, np.uint8).reshape(-1, stride)[MARGIN:, MARGIN:-MARGIN].astype(bool)
