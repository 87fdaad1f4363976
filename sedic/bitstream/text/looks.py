"""How tokens look: counts of a space before one and of its capitals, which the coders of words code beside it."""

from __future__ import annotations

import numpy as np

from . import NAME
from .tokens import START_CLASS, token_class


class Looks:
    """The counts of a table, made by :func:`sedic.training.text.surface.surface`."""

    def __init__(self, table: dict[str, np.ndarray]) -> None:
        self._spaces = table["spaces"]  # 36,36,2: class before, class
        self._capitals = table["capitals"]  # V,3
        self._first_capitals = table["first_capitals"]  # 2,3: start of a text, start of a later sentence

    def spaces(self, before: str, word: str) -> np.ndarray:
        """Counts of no space and of one between two tokens, (2,); ``before`` is empty at the start of a text."""
        return self._spaces[token_class(before) if before else START_CLASS, token_class(word)]

    def capitals(self, before: str, index: int, kind: int) -> np.ndarray:
        """Counts of small letters, a capital, all capitals, (3,), of the word with number ``index``."""
        if not before and kind != NAME:
            return self._first_capitals[0]
        if before and before in ".!?":
            return self._first_capitals[1]
        return self._capitals[index]
