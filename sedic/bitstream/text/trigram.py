"""Text coder 1: names, details and overall texts as words under a static trigram model.

A text is cut into :mod:`.tokens`; spaces and capitals are coded beside them. A word's probability interpolates
trigrams, bigrams and words (Kneser–Ney's absolute discounting, trained by :mod:`sedic.training.text.trigram`), with a
share for words that occurred before in the same file (:meth:`WordModel.counts`).

Of each token is coded, in this order: its number in the vocabulary, under ``counts`` of the two tokens before it
(in place of those before the first, the kind of text); where that is ``SPELLED``, the letters (:meth:`TrigramCoder.
_write_spelled`); where it is ``CODE_POINT``, the code point, a number below 0x110000; a symbol for the space before
it, under the classes of the token before and this one; of words, a symbol for small letters, a capital, all capitals,
under the token's own counts or those of the start of a text or sentence. ``END`` follows the last token. Every text
without lone surrogates fits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..coder import BitstreamError, Decoder, Encoder, load_table
from . import MOST_CHARACTERS
from .looks import Looks
from .tokens import DAMAGED, LETTERS, LOWER, is_word, join_token, refuse, split_tokens

END, SPELLED, CODE_POINT = range(3)  # the vocabulary's first words: end of text, word to spell, other character
COMMON_WORDS = 64  # the most frequent words do not become likelier by having occurred
LETTER_END = len(LETTERS)


class WordModel:
    """The trained counts, see :func:`sedic.training.text.trigram.train`; shared by all files."""

    def __init__(self, table: dict[str, np.ndarray]) -> None:
        self.words: list[str] = ["", "", "", *table["words"].tobytes().decode().split("\n")]
        self.ids = {word: i for i, word in enumerate(self.words) if i > CODE_POINT}
        self.unigrams = table["unigrams"].astype(np.int64)
        self.spelling = table["spelling"]  # 28,28,28: last but one letter, last letter, letter
        self.looks = Looks(table)
        histories = zip(table["trigram_first"].tolist(), table["trigram_second"].tolist(), strict=True)
        self._trigram_rows = {history: row for row, history in enumerate(histories)}
        self._orders = [
            tuple(table[f"{order}_{part}"].astype(np.int64) for part in ("ends", "words", "counts", "rest"))
            for order in ("bigram", "trigram")
        ]

    def index(self, word: str) -> int:
        """The number under which a word is coded."""
        return self.ids.get(word, SPELLED if is_word(word) else CODE_POINT)

    def start(self, kind: int) -> tuple[int, int]:
        """The history before the first word of a text of this kind."""
        return len(self.words) + kind, len(self.words) + kind

    def counts(self, first: int, second: int, seen: list[int]) -> np.ndarray:
        """Counts of all words after two others, (V,) int64, their sum below 2³⁸.

        An order's count is its own discounted one, and its rest is shared out as the lower order says; all in
        integers, which stay below 2⁶².
        """
        counts, total = self.unigrams, int(self.unigrams.sum())
        for order, row in zip(self._orders, (second, self._trigram_rows.get((first, second))), strict=True):
            if row is None:
                continue
            ends, words, own, rest = order
            part = slice(ends[row - 1] if row else 0, ends[row])
            counts = counts * rest[row]
            counts[words[part]] += own[part] * total
            total *= int(own[part].sum() + rest[row])
        shift = max(0, total.bit_length() - 37)
        counts = counts >> shift
        if seen:
            # Together at most a tenth, once many words have occurred.
            counts[seen] += (total >> shift) // (10 * (len(seen) + 20))
        return counts


@lru_cache(maxsize=1)
def word_model() -> WordModel:
    """The model that ships with the package."""
    return WordModel(load_table("text1"))


class TrigramCoder:
    """Writes or reads the texts of one file in turn: what occurred in one makes words of the next cheaper."""

    def __init__(self) -> None:
        self._model = word_model()
        self._seen: list[int] = []
        self._spelled: list[str] = []

    def write(self, encoder: Encoder, text: str, kind: int) -> None:
        """Writes one text of kind ``OVERALL``, ``DETAIL`` or ``NAME``.

        Raises:
            BitstreamError: more than 4,096 characters, or a lone surrogate.
        """
        refuse(text)
        model = self._model
        history, before = model.start(kind), ""
        for word, spaced, capitals in split_tokens(text):
            index = model.index(word)
            encoder.symbol(index, model.counts(*history, self._seen))
            if index == SPELLED:
                self._write_spelled(encoder, word)
            elif index == CODE_POINT:
                encoder.number(ord(word), 0x110000)
            encoder.symbol(int(spaced), self._model.looks.spaces(before, word))
            if is_word(word):
                encoder.symbol(capitals, self._model.looks.capitals(before, index, kind))
            history, before = self._advance(history, index), word
        encoder.symbol(END, model.counts(*history, self._seen))

    def read(self, decoder: Decoder, kind: int) -> str:
        """Reads one text of a kind.

        Raises:
            BitstreamError: the bytes hold no text.
        """
        model = self._model
        history, before, text = model.start(kind), "", ""
        tokens = []
        while (index := decoder.symbol(model.counts(*history, self._seen))) != END:
            if index == SPELLED:
                word = self._read_spelled(decoder)
            elif index == CODE_POINT:
                word = chr(decoder.number(0x110000))
                if "\ud800" <= word <= "\udfff":
                    raise BitstreamError(DAMAGED)
            else:
                word = model.words[index]
            spaced = bool(decoder.symbol(self._model.looks.spaces(before, word)))
            capitals = decoder.symbol(self._model.looks.capitals(before, index, kind)) if is_word(word) else LOWER
            text += join_token(word, spaced, capitals)
            if len(text) > MOST_CHARACTERS + 1 or model.index(word) != index:
                raise BitstreamError(DAMAGED)
            tokens.append((word, spaced, capitals))
            history, before = self._advance(history, index), word
        if split_tokens(text[1:]) != tokens:  # this text is coded as other tokens
            raise BitstreamError(DAMAGED)
        return text[1:]

    def _write_spelled(self, encoder: Encoder, word: str) -> None:
        if self._spelled:
            encoder.bit(word in self._spelled, 1, 4)
        if word in self._spelled:
            encoder.number(self._spelled.index(word), len(self._spelled))
            return
        self._spelled.append(word)
        before = last = LETTER_END
        for letter in [*map(LETTERS.index, word), LETTER_END]:
            encoder.symbol(letter, self._model.spelling[before, last])
            before, last = last, letter

    def _read_spelled(self, decoder: Decoder) -> str:
        if self._spelled and decoder.bit(1, 4):
            return self._spelled[decoder.number(len(self._spelled))]
        word, before, last = "", LETTER_END, LETTER_END
        while (letter := decoder.symbol(self._model.spelling[before, last])) != LETTER_END:
            word += LETTERS[letter]
            before, last = last, letter
            if len(word) > MOST_CHARACTERS:
                break
        if not is_word(word) or word in self._spelled:
            raise BitstreamError(DAMAGED)
        self._spelled.append(word)
        return word

    def _advance(self, history: tuple[int, int], index: int) -> tuple[int, int]:
        if index >= COMMON_WORDS and index not in self._seen:
            self._seen.append(index)
        return history[1], index
