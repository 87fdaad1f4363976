"""Text coder 0: text coder 2 with a network that a far larger one has taught, and a better memory of the file.

The coder and its computing are those of :mod:`.network`. Its network has 768 cells instead of 512, began as coder 2's
and then learnt what a language model of 135 million weights, which had read the web, expects of the same descriptions
and of other texts (:mod:`sedic.training.text.teacher`): it knows what follows what in texts of which there are few
here. A name mostly says what the overall text said, so words that occurred are likelier there (:mod:`.repetition`), and
what came where much the same was expected is likelier everywhere (:mod:`.cache`).
"""

from __future__ import annotations

import numpy as np

from ..coder import Decoder, Encoder
from . import NAME
from .cache import Cache
from .lstm import Expected
from .network import NetworkCoder


class DistilledCoder(NetworkCoder):
    """Writes or reads the texts of one file in turn."""

    table = "text0"
    read_work = 1000

    def __init__(self) -> None:
        super().__init__()
        self._cache = Cache(self._model.exponential)
        self._named = False

    def write(self, encoder: Encoder, text: str, kind: int) -> None:
        self._named = kind == NAME
        super().write(encoder, text, kind)

    def read(self, decoder: Decoder, kind: int) -> str:
        self._named = kind == NAME
        return super().read(decoder, kind)

    def _learn(self, piece: int) -> None:
        if self._counts is not None and self._expected is not None:
            self._cache.learn(self._expected.projected, piece)
        super()._learn(piece)

    def _favour(self, counts: np.ndarray, expected: Expected) -> None:
        self._repetition.favour(counts, eager=self._named)
        self._cache.favour(counts, expected.projected)
