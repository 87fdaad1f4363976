"""Words as pieces: whole words where they are frequent, parts of them elsewhere, single letters where nothing fits.

Byte-pair merges (Sennrich et al. 2016) over lower-case words; a piece inside a word is written with ``##`` before
it, so that a new word shows itself by its first piece.
"""

from __future__ import annotations

import string

import numpy as np

from .tokens import LETTERS, is_word

INSIDE = "##"
END, CODE_POINT = 0, 1  # end of text, a character that is no piece
FIRST_CHARACTER = 5  # 2, 3, 4 announce a text's kind and are never coded


class Pieces:
    """The vocabulary of a table.

    Attributes:
        texts: the piece of each number; empty for the first five.
        inside: (V,) bool, whether the piece continues a word.
    """

    def __init__(self, characters: str, merges: np.ndarray) -> None:
        """Builds the vocabulary.

        Args:
            characters: single characters that are pieces of their own, beside letters.
            merges: (n, 2) numbers of the pieces that a further piece joins, in their order of precedence.
        """
        self.texts = [""] * FIRST_CHARACTER
        self.texts += [*characters, *string.ascii_lowercase, *(INSIDE + letter for letter in LETTERS)]
        pairs = [(a, b) for a, b in merges.tolist()]
        self._precedence = {pair: (rank, len(self.texts) + rank) for rank, pair in enumerate(pairs)}
        texts, mark = self.texts, len(INSIDE)
        for a, b in pairs:
            texts.append(texts[a] + texts[b][mark:])
        self.inside = np.array([t.startswith(INSIDE) and t != INSIDE for t in texts])
        self._numbers = {text: i for i, text in enumerate(self.texts) if i >= FIRST_CHARACTER}
        self._cuts: dict[str, list[int]] = {}

    def cut(self, word: str) -> list[int]:
        """The numbers of the pieces of one word in small letters, or of one other character."""
        if not is_word(word):
            return [self._numbers.get(word, CODE_POINT)]
        if word not in self._cuts:
            numbers = [self._numbers[word[0]], *(self._numbers[INSIDE + letter] for letter in word[1:])]
            while found := [
                (*self._precedence[pair], at)
                for at, pair in enumerate(zip(numbers, numbers[1:], strict=False))
                if pair in self._precedence
            ]:
                _, joined, at = min(found)
                numbers[at : at + 2] = [joined]
            self._cuts[word] = numbers
        return self._cuts[word]

    def text(self, number: int) -> str:
        """What a piece adds to its word."""
        piece = self.texts[number]
        return piece[len(INSIDE) :] if self.inside[number] else piece
