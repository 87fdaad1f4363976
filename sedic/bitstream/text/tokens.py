"""Texts as words, digits and single other characters: what the coders of words count.

Whether a space precedes a token and how it is capitalised stand beside it, so that "Red", "red" and the "red" of
"brick-red" share their statistics.
"""

from __future__ import annotations

import re
import string

from ..coder import BitstreamError
from . import MOST_CHARACTERS

LETTERS = string.ascii_lowercase + "'"  # of words
START_CLASS = 35  # what stands before the first token, beside the classes of token_class
TOKEN = re.compile(r" ?(?:[A-Z]?[a-z]+(?:'[a-z]+)?|[A-Z]+|.)", re.DOTALL)
LOWER, CAPITAL, UPPER = range(3)
DAMAGED = "The coded text is damaged; fetch the file again."
_PUNCTUATION = {c: 2 + i for i, c in enumerate(string.punctuation)}


def refuse(text: str) -> None:
    """Tells what no coder of words takes.

    Raises:
        BitstreamError: more than ``MOST_CHARACTERS`` characters, or a lone surrogate.
    """
    if len(text) > MOST_CHARACTERS:
        raise BitstreamError(f"A text has {len(text)} characters, {MOST_CHARACTERS} at most fit; shorten it.")
    if surrogate := re.search("[\ud800-\udfff]", text):
        raise BitstreamError(f"A text holds {surrogate.group()!r}, half a character; remove it.")


def split_tokens(text: str) -> list[tuple[str, bool, int]]:
    """Cuts a text, led by one virtual space, into (word in small letters, preceded by a space, capitals).

    ``"A two-leaf door"`` gives ``("a", True, CAPITAL), ("two", True, LOWER), ("-", False, LOWER), …``.
    """
    tokens = []
    for token in TOKEN.findall(" " + text) if text else ():
        spaced = len(token) > 1 and token[0] == " "
        word = token[1:] if spaced else token
        small = word.lower() if is_word(word) else word
        capitals = LOWER if word == small else CAPITAL if word[1:] == small[1:] else UPPER
        tokens.append((small, spaced, capitals))
    return tokens


def join_token(word: str, spaced: bool, capitals: int) -> str:
    """The characters of one token of :func:`split_tokens`."""
    word = (word, word[:1].upper() + word[1:], word.upper())[capitals]
    return " " + word if spaced else word


def is_word(word: str) -> bool:
    """True for words of ASCII letters, which may be capitalised or spelled; False for single other characters."""
    return word[:1].isascii() and word[:1].isalpha()


def token_class(word: str) -> int:
    """What decides about a space between two tokens: 0 word, 1 digit, 2–33 punctuation, 34 anything else."""
    if is_word(word):
        return 0
    return 1 if word in string.digits else _PUNCTUATION.get(word, 34)
