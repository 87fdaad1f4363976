"""Mask coder 0: lengths of runs along the rows, as fax machines had them; for comparison.

The cells that no earlier object took, row after row, are runs of cells outside and inside in turn, outside first. Of
each length the number of its binary digits is coded, by counts that adapt and start from nothing, and then the digits.
"""

from __future__ import annotations

import numpy as np

from ..coder import BitstreamError, Decoder, Encoder
from .grid import GridCoder


class RunsCoder(GridCoder):
    """Writes or reads the masks of one file in turn."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._counts = np.ones((2, self.taken.size.bit_length() + 1), np.int64)  # inside or not, number of digits

    def write_cells(self, encoder: Encoder, cells: np.ndarray) -> None:
        """See :class:`.grid.GridCoder`."""
        free = cells[~self.taken]
        ends = [*(np.flatnonzero(np.diff(free)) + 1).tolist(), free.size]
        position, inside = 0, 0
        if free[0]:
            self._write_length(encoder, 0, 0)
            inside = 1
        for end in ends:
            self._write_length(encoder, end - position, inside)
            position, inside = end, 1 - inside

    def read_cells(self, decoder: Decoder) -> np.ndarray:
        """See :class:`.grid.GridCoder`."""
        free = np.zeros((~self.taken).sum(), bool)
        position, inside = 0, 0
        while position < free.size:
            length = self._read_length(decoder, inside)
            if length > free.size - position or (length == 0 and (position or inside)):
                raise BitstreamError("A run of the coded mask is damaged; fetch the file again.")
            free[position : position + length] = inside
            position, inside = position + length, 1 - inside
        cells = np.zeros_like(self.taken)
        cells[~self.taken] = free
        return cells

    def _write_length(self, encoder: Encoder, length: int, inside: int) -> None:
        digits = length.bit_length()
        encoder.symbol(digits, self._counts[inside])
        self._counts[inside, digits] += 1
        if digits > 1:
            encoder.number(length - (1 << digits - 1), 1 << digits - 1)

    def _read_length(self, decoder: Decoder, inside: int) -> int:
        digits = decoder.symbol(self._counts[inside])
        self._counts[inside, digits] += 1
        return 0 if digits == 0 else (1 << digits - 1) + decoder.number(1 << digits - 1)
