"""How many words a text has, in any script, so that a limit of words bounds what a file spends on it.

Spaces part words in most scripts. Where a script has none, its characters count: every Chinese or Japanese one for a
word, as word processors count them, and every four letters of Thai, Lao, Khmer or Burmese. Anything else that is
written without a space counts as a word for every forty characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LONGEST = 40  # characters of one word: longer than those of German or Finnish in captions
_CHARACTER = re.compile(  # Chinese, Japanese, Yi; emoji
    "[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua000-\ua4cf\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U0001f000-\U0001faff\U00020000-\U0003ffff]"
)
_LETTER = (
    re.compile(  # Thai and Lao, Tibetan, Burmese, Khmer, Tai Le to Khmer symbols, Tai Tham, Balinese, Javanese, Cham
        "[\u0e01-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa00-\uaadf]"
    )
)
_JOINS = ("\u200d", "\ufe0e", "\ufe0f", *map(chr, range(0x1F3FB, 0x1F400)))  # parts of the emoji before them


def count_words(text: str) -> int:
    """How many words a text has; see above."""
    return sum(1 for _ in _words(text))


def first_words(text: str, most: int) -> str:
    """The first ``most`` words of a text, with single spaces.

    >>> first_words("a  red barn", 2), first_words("一杯咖啡 on wood", 5)
    ('a red', '一杯咖啡 on')
    """
    words = [word for word, _ in zip(_words(text), range(most), strict=False)]
    return "".join(words).strip()


def may_be_english(text: str) -> bool:
    """Whether a text holds no letter but those of the Latin script; says nothing of German or French.

    >>> may_be_english("a café, 1920"), may_be_english("一杯咖啡")
    (True, False)
    """
    return not any(c.isalpha() and ord(c) > 0x7F and "LATIN" not in unicodedata.name(c, "") for c in text)


def _words(text: str) -> Iterator[str]:
    """The words of a text, each with a space before it where one parts it from the word before."""
    for run in text.split():
        word, spent = " ", 0.0
        for c in run:
            cost = _cost(c)
            # What belongs to the character before it is never cut off from it, but a run of such ends somewhere, too.
            if spent + cost > 1 + 1e-9 if cost else len(word) > 2 * LONGEST:
                yield word
                word, spent = "", 0.0
            word += c
            spent = min(1.0, spent + cost)
        yield word


def _cost(c: str) -> float:
    """The share of a word that a character is."""
    if c in _JOINS or unicodedata.category(c)[0] in "MP":  # marks and punctuation
        return 0.0
    if _CHARACTER.match(c):
        return 1.0
    return 0.25 if _LETTER.match(c) else 1 / LONGEST
