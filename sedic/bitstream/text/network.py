"""Text coder 2: names, details and overall texts as pieces of words under a small recurrent network.

A text is cut into :mod:`.tokens`, and words into :mod:`.pieces`, so that rare words are made of frequent parts. The
network of :mod:`.lstm`, trained by :mod:`sedic.training.text.network` on image descriptions in the order that a file
has them, has read everything that the file said before: a detail leans on its name, and both on the overall text.
:mod:`.confidence` makes counts of its logits, and :mod:`.repetition` favours what occurred before.

The network first reads the piece that announces the kind of text, ``FIRST_KIND`` + kind, which is not coded. Then of
each token is coded, in this order: the number of its first piece (:meth:`~..coder.Encoder.one_of_many`); where that is
``CODE_POINT``, the code point, a number below 0x110000; a symbol for the space before the token, under the classes of
the token before and this one; of words, a symbol for small letters, a capital, all capitals, under the first piece's
own counts or those of the start of a text or sentence; the numbers of its other pieces. ``END`` follows the last
token. The network reads each piece once it is coded. Every text without lone surrogates fits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..coder import BitstreamError, Decoder, Encoder, load_table
from . import MOST_CHARACTERS
from .confidence import Confidence
from .looks import Looks
from .lstm import Expected, Network, State
from .pieces import CODE_POINT, END, Pieces
from .repetition import Repetition
from .tokens import DAMAGED, LOWER, is_word, join_token, refuse, split_tokens

FIRST_KIND = 2  # the pieces that announce OVERALL, DETAIL and NAME
MOST_READ = 400  # pieces of a file that the network reads, so that a short file of endless words keeps nobody busy


class PieceModel:
    """The trained table, shared by all files."""

    def __init__(self, table: dict[str, np.ndarray]) -> None:
        self.pieces = Pieces(table["characters"].tobytes().decode(), table["merges"])
        self.network = Network(table)
        self.exponential = table["exponential"].astype(np.int64)
        self.looks = Looks(table)


@lru_cache(maxsize=2)
def piece_model(table: str) -> PieceModel:
    """The model of a table that ships with the package."""
    return PieceModel(load_table(table))


class NetworkCoder:
    """Writes or reads the texts of one file in turn.

    Attributes:
        table: the name of the trained table.
        read_work: microseconds in which its network reads a piece, see :meth:`..coder.Encoder.spend`.
    """

    table = "text2"
    read_work = 700

    def __init__(self) -> None:
        self._model = piece_model(self.table)
        self._state = self._model.network.start()
        self._confidence = Confidence(self._model.exponential)
        self._read = 0
        self._repetition = Repetition(self._model.pieces.inside)
        self._expected: Expected | None = None
        self._counts: np.ndarray | None = None
        self._ahead: list[tuple[State, Expected]] = []  # states behind pieces to come, and what is expected there

    def write(self, encoder: Encoder, text: str, kind: int) -> None:
        """Writes one text of kind ``OVERALL``, ``DETAIL`` or ``NAME``.

        Raises:
            BitstreamError: more than 4,096 characters, or a lone surrogate.
        """
        refuse(text)
        tokens = [(*token, self._model.pieces.cut(token[0])) for token in split_tokens(text)]
        self._look_ahead([FIRST_KIND + kind, *(piece for *_, pieces in tokens for piece in pieces), END])
        self._advance(encoder, FIRST_KIND + kind)
        before = ""
        for word, spaced, capitals, (first, *others) in tokens:
            encoder.one_of_many(first, self._next())
            if first == CODE_POINT:
                encoder.number(ord(word), 0x110000)
            encoder.symbol(int(spaced), self._model.looks.spaces(before, word))
            if is_word(word):
                encoder.symbol(capitals, self._model.looks.capitals(before, first, kind))
            self._advance(encoder, first)
            for piece in others:
                encoder.one_of_many(piece, self._next())
                self._advance(encoder, piece)
            before = word
        encoder.one_of_many(END, self._next())
        self._advance(encoder, END)

    def read(self, decoder: Decoder, kind: int) -> str:
        """Reads one text of a kind.

        Raises:
            BitstreamError: the bytes hold no text, or one that :meth:`write` codes differently.
        """
        pieces = self._model.pieces
        self._advance(decoder, FIRST_KIND + kind)
        tokens: list[tuple[str, bool, int]] = []
        cuts: list[list[int]] = []
        length = 0
        while (piece := decoder.one_of_many(self._next())) != END:
            if pieces.inside[piece] and tokens and is_word(tokens[-1][0]):
                word, spaced, capitals = tokens.pop()
                tokens.append((word + pieces.text(piece), spaced, capitals))
                cuts[-1].append(piece)
            else:
                word = chr(decoder.number(0x110000)) if piece == CODE_POINT else pieces.text(piece)
                before = tokens[-1][0] if tokens else ""
                spaced = bool(decoder.symbol(self._model.looks.spaces(before, word)))
                capitals = decoder.symbol(self._model.looks.capitals(before, piece, kind)) if is_word(word) else LOWER
                tokens.append((word, spaced, capitals))
                cuts.append([piece])
            length += len(pieces.text(piece)) or 1  # a code point has no text of its own
            if length > MOST_CHARACTERS or "\ud800" <= tokens[-1][0] <= "\udfff":
                raise BitstreamError(DAMAGED)
            self._advance(decoder, piece)
        self._advance(decoder, END)
        text = "".join(join_token(*token) for token in tokens)[1:]
        # A writer cuts this text in one way only.
        if len(text) > MOST_CHARACTERS or split_tokens(text) != tokens or cuts != [pieces.cut(w) for w, _, _ in tokens]:
            raise BitstreamError(DAMAGED)
        return text

    def _look_ahead(self, pieces: list[int]) -> None:
        """Lets the network read what a writer knows to come: all pieces together are quicker."""
        if pieces := pieces[: MOST_READ - self._read]:
            states = self._model.network.read_all(self._state, pieces)
            self._ahead = list(zip(states, self._model.network.expect_all(states), strict=True))

    def _advance(self, coder: Encoder | Decoder, piece: int) -> None:
        """Lets the network read a piece; behind the first ``MOST_READ`` of a file it keeps the counts it had."""
        if self._read == MOST_READ:
            return
        coder.spend(self.read_work)
        self._read += 1
        self._learn(piece)
        self._counts = None
        if self._ahead:
            self._state, self._expected = self._ahead.pop(0)
        else:
            self._state, self._expected = self._model.network.read(self._state, piece), None

    def _next(self) -> np.ndarray:
        """Counts of the piece that comes next."""
        if self._counts is None:
            self._expected = self._expected or self._model.network.expect(self._state)
            self._counts = self._confidence.counts(self._expected.logits)
            self._favour(self._counts, self._expected)
        return self._counts

    def _learn(self, piece: int) -> None:
        """Learns from the file itself: a piece came."""
        if self._counts is not None:  # it was coded: what announces a text is not
            self._confidence.learn(piece)
        self._repetition.learn(piece)

    def _favour(self, counts: np.ndarray, expected: Expected) -> None:
        """Adds to counts, in place, for what was learnt."""
        self._repetition.favour(counts)
