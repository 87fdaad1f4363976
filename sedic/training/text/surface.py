"""How texts look: where spaces stand and how words are capitalised, counted for the tables of the text coders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...bitstream.text.tokens import START_CLASS, is_word, token_class
from .descriptions import Tokens


def surface(texts: list[tuple[Tokens, int]], index: Callable[[str], int], size: int) -> dict[str, np.ndarray]:
    """Counts of spaces and capitals; each word's own capitals lean on those of all words.

    Args:
        texts: tokens of a text, and how often they count.
        index: the number that stands for a word in the table of capitals.
        size: of that table.

    Returns:
        ``spaces`` (36, 36, 2) by class of the token before and of the token, ``first_capitals`` (2, 3) at the start of
        a text and of a later sentence, ``capitals`` (size, 3).
    """
    spaces = np.ones((START_CLASS + 1, START_CLASS + 1, 2), np.int64)
    first_capitals = np.ones((2, 3), np.int64)
    capitals = np.zeros((size, 3), np.int64)
    for tokens, weight in texts:
        before = ""
        for word, spaced, capital in tokens:
            spaces[token_class(before) if before else START_CLASS, token_class(word), int(spaced)] += weight
            if is_word(word):
                if not before or before in ".!?":
                    first_capitals[1 if before else 0, capital] += weight
                else:
                    capitals[index(word), capital] += weight
            before = word
    common = capitals.sum(0) + 1
    capitals = capitals * 250 // np.maximum(capitals.sum(1, keepdims=True), 250) + 1 + 4 * common // common.sum()
    return {
        "spaces": spaces.astype(np.uint32),
        "first_capitals": first_capitals.astype(np.uint32),
        "capitals": capitals.astype(np.uint8),
    }
