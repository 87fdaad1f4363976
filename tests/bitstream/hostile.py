"""Files that no writer makes: each says little and asks for much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sedic.bitstream import mask, text
from sedic.bitstream.coder import Encoder
from sedic.bitstream.header import MOST_OBJECTS, Header
from sedic.bitstream.sections import frame

SLOW = {"text_coder": 1, "mask_coder": 1}
LARGEST = (16384, 4096)  # 2²⁶ pixels


def largest(texts: Sequence[str] = (), masks: int = MOST_OBJECTS, reference: int = 0, **coders: int) -> bytes:
    """A sound file of the largest picture with seven objects, but for the work that it takes to read.

    Args:
        texts: the overall text, then a detail for each object.
        masks: how many objects have one; each is a single cell, the others are near certain and cost no bits.
        reference: how many bytes it has.
        coders: ``text_coder`` and ``mask_coder``; by default those that take longest.
    """
    header = Header(*LARGEST, codec_id=1, quality=1, objects=MOST_OBJECTS, **(SLOW | coders))
    words = text.CODERS.make(header.text_coder)
    cells = mask.CODERS.make(header.mask_coder, *LARGEST)
    overall, *details = [*texts, *[""] * (MOST_OBJECTS + 1)][: MOST_OBJECTS + 1]
    data = header.to_bytes() + frame(bytes(reference), 0)
    encoder = Encoder()
    words.write(encoder, overall, text.OVERALL)
    data += frame(encoder.finish(), 1)
    for j, detail in enumerate(details):
        encoder = Encoder()
        words.write(encoder, "", text.NAME)
        words.write(encoder, detail, text.DETAIL)
        cells.write(encoder, one_corner(j) if j < masks else None)
        data += frame(encoder.finish(), 2 + j)
    return data


def one_corner(j: int) -> np.ndarray:
    """A mask of the largest picture with little in it."""
    picture = np.zeros(LARGEST[::-1], bool)
    picture[:64, 64 * j : 64 * j + 64] = True
    return picture
