"""What a file said once it says again: pieces that occurred, and what followed what, become likelier."""

from __future__ import annotations

import numpy as np

FIRST_SEEN = 256  # pieces below are letters and the commonest words: having occurred says nothing
FIRST_FOLLOWED = 5  # pieces below are no words
USUAL, EAGER = (10, 40, 20), (2, 20, 5)  # of what occurred, of how few, of what followed: the smaller, the likelier


class Repetition:
    """The pieces of one file and direction so far.

    Args:
        inside: (V,) bool, which pieces continue a word.
    """

    def __init__(self, inside: np.ndarray) -> None:
        self._inside = inside
        self._last = 0
        self._seen: list[int] = []
        self._continued: dict[int, list[int]] = {}  # by a piece: what continued its word
        self._followed: dict[int, list[int]] = {}  # by a piece: which word came next

    def learn(self, piece: int) -> None:
        """Takes in one more piece, or what announces or ends a text."""
        if piece >= FIRST_SEEN:
            _add(self._seen, piece)
        if piece >= FIRST_FOLLOWED and self._last >= FIRST_FOLLOWED:
            behind = self._continued if self._inside[piece] else self._followed
            _add(behind.setdefault(self._last, []), piece)
        self._last = piece

    def favour(self, counts: np.ndarray, eager: bool = False) -> None:
        """Adds to counts, (V,) int64, in place, at most four fifths of their sum; 1.4 times it where ``eager``.

        A rare word that occurred is recognised by its first pieces: what continued it then is given two thirds.
        """
        total = int(counts.sum())
        seen, few, followed_by = EAGER if eager else USUAL
        counts[self._seen] += total // (seen * (len(self._seen) + few))
        continued, followed = self._continued.get(self._last, []), self._followed.get(self._last, [])
        counts[continued] += 2 * total // (3 * max(1, len(continued)))
        counts[followed] += total // (followed_by * max(1, len(followed)))


def _add(pieces: list[int], piece: int) -> None:
    if piece not in pieces:
        pieces.append(piece)
