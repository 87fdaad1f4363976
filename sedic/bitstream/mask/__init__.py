"""The coders of masks: on a grid of cells, an object after the other; a cell belongs to the first that takes it.

A file says in its header which coder wrote its masks; ``CODERS`` finds it. A coder is one module beside this one and
one line in ``CODERS``; its number is written into files and never given to another. ``neural`` is the one to use;
``tree``, ``jbig`` and ``runs`` share the fixed grid of ``grid``.

>>> import numpy as np
>>> from sedic.bitstream.coder import Decoder, Encoder
>>> mask = np.zeros((64, 96), bool)
>>> mask[16:48, 8:40] = True
>>> encoder = Encoder()
>>> grid = CODERS.make(CODERS.id_of("tree"), 96, 64).write(encoder, mask)
>>> reader = CODERS.make(1, 96, 64)
>>> grid = reader.read(Decoder(encoder.finish()))
>>> grid.shape, bool((reader.picture(grid) == mask).all())
((8, 12), True)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ..coder import Decoder, Encoder
from ..registry import Coders
from .grid import MaskChoice


class MaskCoder(Protocol):
    """Writes or reads the masks of one file in turn: one object per file and direction, made with (width, height).

    It keeps what earlier objects took, and owns its grid: its size, and how a mask of the picture's size is made of it.
    """

    def prepare(self, masks: Sequence[np.ndarray | None], choice: MaskChoice) -> None:
        """Told before the first is written: the masks of all objects (None where one has none, or a grid), disjoint."""
        ...

    def write(self, encoder: Encoder, mask: np.ndarray | None) -> Any | None:
        """Writes one object's mask, (height, width) bool, None where it has none; returns what ``read`` will give."""
        ...

    def write_grid(self, encoder: Encoder, grid: Any | None) -> None:
        """Writes what ``read`` of a coder of this kind and size gave: again the same bytes, in the same place."""
        ...

    def read(self, decoder: Decoder) -> Any | None:
        """Reads one object's grid, without the cells that earlier objects took; None where it has no mask.

        What a grid is, is the coder's own affair.

        Raises:
            BitstreamError: the bytes hold no mask, or one that ``write_grid`` codes differently.
        """
        ...

    def picture(self, grid: Any) -> np.ndarray:
        """The mask of the picture's size, (height, width) bool, that a grid stands for."""
        ...


CODERS = Coders(
    "mask",
    __name__,
    {0: ("runs", "RunsCoder"), 1: ("tree", "TreeCoder"), 2: ("neural", "NeuralCoder"), 3: ("jbig", "JbigCoder")},
    default=2,
)
