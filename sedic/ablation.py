"""What each part of a file buys, for whoever has to leave some of it out: the one place where that is written down.

There is no ablation on models of this project's own yet; these are the paper's figures on Kodak (Table V), as the
fall of DISTS that a part brings. A part's price is not theirs but its real bytes. What the table does not say is
shared out evenly: words of one row, and the reference over the four times that its bytes double from a sixteenth.
"""

from __future__ import annotations

REFERENCE_DOUBLING = (0.2284 - 0.1012) / 4  # rows 7 and 6: without the reference, and with its 0.0181 bpp

_OVERALL_WORDS = 30
_OVERALL_LATER = (0.1151 - 0.1012) / 20  # rows 9 and 6: 30 words, 50 words; each word beyond 30
_OVERALL_FIRST = ((0.1503 - 0.1012) - 20 * _OVERALL_LATER) / _OVERALL_WORDS  # rows 5 and 6: none, 50 words

_DETAIL_WORDS = 10
_DETAIL_LATER = (0.1318 - 0.1012) / 60  # rows 8 and 6: 10 words, 30 words of three objects; each word beyond 10
_FIRST_OBJECT = 0.1667 - 0.1522  # rows 1 and 2
_LATER_OBJECT = (0.1522 - 0.1012) / 2  # rows 2 and 6: the second and the third


def overall_gain(words: int) -> float:
    """What an overall text of so many words brings."""
    return _OVERALL_FIRST * min(words, _OVERALL_WORDS) + _OVERALL_LATER * max(0, words - _OVERALL_WORDS)


def object_gain(number: int, words: int) -> float:
    """What object ``number`` (from 0) brings behind those before it, with its mask and so many words of detail."""
    with_thirty = _LATER_OBJECT if number else _FIRST_OBJECT
    return with_thirty - 20 * _DETAIL_LATER + _DETAIL_LATER * max(0, words - _DETAIL_WORDS)
