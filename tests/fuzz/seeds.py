"""Sound files to begin with, one for each coder that there is."""

from __future__ import annotations

import numpy as np

from sedic.bitstream import SedicFile, mask, text
from sedic.semantics import SceneObject, Semantics

WIDTH, HEIGHT = 96, 64


def seeds() -> dict[str, bytes]:
    """A file by each coder of words and each of masks, the other one the default."""
    pairs = {name: (id, mask.CODERS.default) for id, name in text.CODERS.names.items()}
    pairs |= {name: (text.CODERS.default, id) for id, name in mask.CODERS.names.items()}
    return {name: scene(*coders).to_bytes() for name, coders in pairs.items()}


def scene(text_coder: int, mask_coder: int) -> SedicFile:
    """Known words, spelled ones and other characters; a mask, one beside it, an empty one, none."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = (rows - 30) ** 2 + (columns - 40) ** 2 < 400
    objects = (
        SceneObject("red barn", "Weathered red barn with a rusty roof.", disc),
        SceneObject("Zxq’s pond", "Two-leaf door, IPHONE 42; 漢字.", (rows > 24) & (columns > 30)),
        SceneObject("c", "", disc & False),
        SceneObject("d"),
    )
    words = Semantics("A red barn beside a frozen pond, soft light.", objects)
    return SedicFile(WIDTH, HEIGHT, 1, 18, bytes(9), words, text_coder=text_coder, mask_coder=mask_coder)
