"""The coders of words: names, details and overall texts, losslessly, whatever characters they have.

A file says in its header which coder wrote its words; ``CODERS`` finds it. A coder is one module beside this one and
one line in ``CODERS``; its number is written into files and never given to another.

>>> from sedic.bitstream.coder import Decoder, Encoder
>>> encoder = Encoder()
>>> CODERS.make(CODERS.id_of("trigram")).write(encoder, "A red barn.", OVERALL)
>>> CODERS.make(1).read(Decoder(encoder.finish()), OVERALL)
'A red barn.'
"""

from __future__ import annotations

from typing import Protocol

from ..coder import Decoder, Encoder
from ..registry import Coders

MOST_CHARACTERS = 4096  # of one text
OVERALL, DETAIL, NAME = range(3)  # kinds of text


class TextCoder(Protocol):
    """Writes or reads the texts of one file in turn: one object per file and direction, made without arguments."""

    def write(self, encoder: Encoder, text: str, kind: int) -> None:
        """Writes one text of kind ``OVERALL``, ``DETAIL`` or ``NAME``.

        Raises:
            BitstreamError: more than ``MOST_CHARACTERS`` characters, or a lone surrogate.
        """
        ...

    def read(self, decoder: Decoder, kind: int) -> str:
        """Reads one text of a kind.

        Raises:
            BitstreamError: the bytes hold no text, or one that ``write`` codes differently.
        """
        ...


CODERS = Coders(
    "text",
    __name__,
    {
        0: ("distilled", "DistilledCoder"),
        1: ("trigram", "TrigramCoder"),
        2: ("network", "NetworkCoder"),
        3: ("huffman", "HuffmanCoder"),
    },
    default=0,
)
