"""Makes the table of text coder 3: how often characters occur in image descriptions.

``sedic train huffman --data DATA -o OUT.npz`` with DATA the folder that holds ``text/``; the same lines give the same
bytes.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from .descriptions import read_texts


def train(data: Path, out: Path) -> None:
    """Counts the characters of all training texts; those that occur once are counted as what is outside the code."""
    texts = [text for text, _ in read_texts(data)]
    counts = Counter(character for text in texts for character in text)
    kept = sorted(character for character, n in counts.items() if n > 1)
    others = 1 + sum(n for n in counts.values() if n == 1)
    np.savez_compressed(
        out,
        characters=np.frombuffer("".join(kept).encode(), np.uint8),
        # END and OTHER of the coder come first.
        counts=np.array([len(texts), others, *(counts[character] for character in kept)], np.int64),
    )
