"""Text coder 3: characters under a static Huffman code, the paper's way with words, for comparison.

The code is made from character counts of image descriptions that ship with the package, so that no table has to be
sent. Its bits are whole ones: they go through the range coder as equally likely, which costs exactly their number.
Characters outside the code are written as code points.
"""

from __future__ import annotations

import heapq
from functools import lru_cache

from ..coder import BitstreamError, Decoder, Encoder, load_table
from . import MOST_CHARACTERS
from .tokens import DAMAGED, refuse

END, OTHER = "", "\ud800"  # end of text; a character outside the code: half a one, which no text holds


def code_words(counts: dict[str, int]) -> dict[str, str]:
    """A canonical Huffman code (Huffman 1952): the bits of each symbol, "0" and "1".

    Args:
        counts: at least two symbols, how often each occurs.
    """
    # Equal weights are told apart by age, so that the code is the same everywhere.
    queue: list[tuple[int, int, tuple[str, ...]]] = [
        (count, age, (symbol,)) for age, (symbol, count) in enumerate(sorted(counts.items()))
    ]
    heapq.heapify(queue)
    lengths = dict.fromkeys(counts, 0)
    for age in range(len(queue), 2 * len(queue) - 1):
        (light, _, few), (heavy, _, many) = heapq.heappop(queue), heapq.heappop(queue)
        for symbol in few + many:
            lengths[symbol] += 1
        heapq.heappush(queue, (light + heavy, age, few + many))
    words: dict[str, str] = {}
    code, before = 0, 0
    for symbol in sorted(lengths, key=lambda s: (lengths[s], s)):
        code <<= lengths[symbol] - before
        before = lengths[symbol]
        words[symbol] = f"{code:0{before}b}"
        code += 1
    return words


@lru_cache(maxsize=1)
def _code() -> tuple[dict[str, str], dict[str, str]]:
    """Bits by character, and characters by bits."""
    table = load_table("text3")
    characters = [END, OTHER, *table["characters"].tobytes().decode()]
    words = code_words(dict(zip(characters, table["counts"].tolist(), strict=True)))
    return words, {bits: character for character, bits in words.items()}


class HuffmanCoder:
    """Writes or reads the texts of one file in turn, each by itself."""

    def write(self, encoder: Encoder, text: str, kind: int) -> None:
        """Writes one text; its kind makes no difference.

        Raises:
            BitstreamError: more than 4,096 characters, or a lone surrogate.
        """
        refuse(text)
        words, _ = _code()
        for character in [*text, END]:
            for bit in words.get(character, words[OTHER]):
                encoder.number(int(bit), 2)
            if character not in words:
                encoder.number(ord(character), 0x110000)

    def read(self, decoder: Decoder, kind: int) -> str:
        """Reads one text.

        Raises:
            BitstreamError: the bytes hold no text, or one that :meth:`write` codes differently.
        """
        words, characters = _code()
        text = ""
        while (character := self._read_character(decoder, characters)) != END:
            if character == OTHER:
                character = chr(decoder.number(0x110000))
                if character in words or "\ud800" <= character <= "\udfff":
                    raise BitstreamError(DAMAGED)
            text += character
            if len(text) > MOST_CHARACTERS:
                raise BitstreamError(DAMAGED)
        return text

    def _read_character(self, decoder: Decoder, characters: dict[str, str]) -> str:
        bits = ""
        while bits not in characters:  # a Huffman code is complete: some character's bits are met
            bits += str(decoder.number(2))
        return characters[bits]
