"""The coders of masks: on a grid of cells, an object after the other; a cell belongs to the first that takes it.

A file says in its header which coder wrote its masks; ``CODERS`` finds it. A coder is one module beside this one and
one line in ``CODERS``; its number is written into files and never given to another. ``grid`` holds what coders on
the latent grid share.

>>> import numpy as np
>>> from sedic.bitstream.coder import Decoder, Encoder
>>> mask = np.zeros((64, 96), bool)
>>> mask[16:48, 8:40] = True
>>> encoder = Encoder()
>>> CODERS.make(CODERS.id_of("tree"), 96, 64).write(encoder, mask)
>>> reader = CODERS.make(1, 96, 64)
>>> grid = reader.read(Decoder(encoder.finish()))
>>> grid.shape, bool((reader.picture(grid) == mask).all())
((8, 12), True)
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..coder import Decoder, Encoder
from ..registry import Coders


class MaskCoder(Protocol):
    """Writes or reads the masks of one file in turn: one object per file and direction, made with (width, height).

    It keeps what earlier objects took, and owns its grid: its size, and how a mask of the picture's size is made of it.
    """

    def write(self, encoder: Encoder, mask: np.ndarray | None) -> None:
        """Writes one object's mask, (height, width) bool; None where it has none."""
        ...

    def write_grid(self, encoder: Encoder, grid: np.ndarray | None) -> None:
        """Writes what ``read`` of a coder of this kind and size gave: again the same bytes, in the same place."""
        ...

    def read(self, decoder: Decoder) -> np.ndarray | None:
        """Reads one object's grid, bool, without the cells that earlier objects took; None where it has no mask.

        Raises:
            BitstreamError: the bytes hold no mask, or one that ``write_grid`` codes differently.
        """
        ...

    def picture(self, grid: np.ndarray) -> np.ndarray:
        """The mask of the picture's size, (height, width) bool, that a grid stands for."""
        ...


CODERS = Coders("mask", __name__, {1: ("tree", "TreeCoder")}, default=1)
