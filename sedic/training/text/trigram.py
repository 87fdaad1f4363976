"""Makes the table of text coder 1 from image descriptions.

``sedic train trigram --data DATA -o OUT.npz`` with DATA the folder that holds ``text/lmm_train.txt``,
``text/captions_train.txt`` and, parallel to them, ``.src`` files that name each line's source. Takes half a minute;
the same lines give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...bitstream.text import DETAIL, NAME, OVERALL
from ...bitstream.text.tokens import LETTERS, is_word
from ...bitstream.text.trigram import CODE_POINT, END, LETTER_END, SPELLED
from .descriptions import OBJECTS, Line, leading_name, read_lines
from .surface import surface

# How often a line of a source counts: an object's description is nearest to what the files hold, then dense texts.
WEIGHTS = {
    OBJECTS: 8,
    **dict.fromkeys(("comprecap-GPT-4o", "iiw-human", "dpg-bench", "docci-human"), 4),
    **dict.fromkeys(("vbench-gpt", "vbench-wan", "iiw-p5b", "image-textualization"), 2),
}
BIGRAM_DISCOUNT, TRIGRAM_DISCOUNT = 1, 6  # what is left of a count at or below them is nothing: it is not stored


def train(data: Path, out: Path) -> None:
    """Counts words, pairs and triples and writes the table of :class:`sedic.bitstream.text.trigram.WordModel`.

    Args:
        data: the folder with ``text/``.
        out: the npz to write; an existing one is replaced.
    """
    lines = read_lines(data)
    frequency: Counter[str] = Counter()
    for line in lines:
        for word, _, _ in line.tokens:
            frequency[word] += WEIGHTS.get(line.source, 1)
    words = sorted((w for w, n in frequency.items() if n > 1 and w != "\n"), key=lambda w: (-frequency[w], w))
    ids = {word: i for i, word in enumerate(words, CODE_POINT + 1)}
    size = len(words) + CODE_POINT + 1

    def index(word: str) -> int:
        return ids.get(word, SPELLED if is_word(word) else CODE_POINT)

    triples: Counter[tuple[int, int, int]] = Counter()
    for start, line_words, weight in _sequences(lines):
        history = (size + start, size + start)
        for i in [*map(index, line_words), END]:
            triples[history[0], history[1], i] += weight
            history = (history[1], i)
    # Lower orders count in how many histories a word occurs (Kneser–Ney), but after a start, where there is only one.
    pairs: Counter[tuple[int, int]] = Counter()
    for (_, second, follower), n in triples.items():
        pairs[second, follower] += n if second >= size else 1
    unigrams = np.ones(size, np.uint32)
    for _, follower in pairs:
        unigrams[follower] += 2

    bigrams = _histories({((second,), follower): n for (second, follower), n in pairs.items()}, BIGRAM_DISCOUNT)
    trigrams = _histories({((a, b), follower): n for (a, b, follower), n in triples.items()}, TRIGRAM_DISCOUNT)
    trigrams = {history: row for history, row in trigrams.items() if row.words}
    histories = sorted(trigrams)
    largest = int(unigrams.sum()) * max(map(_total, bigrams.values())) * max(map(_total, trigrams.values()))
    if largest >= 1 << 62:
        raise ValueError(f"The counts multiply to {largest}, beyond 64 bits; lower WEIGHTS.")
    table: dict[str, Any] = dict(
        words=np.frombuffer("\n".join(words).encode(), np.uint8),
        unigrams=unigrams,
        trigram_first=np.array([a for a, _ in histories], np.uint16),
        trigram_second=np.array([b for _, b in histories], np.uint16),
        **_arrays("bigram", [bigrams.get((i,), History([], [], 1)) for i in range(size + 3)]),
        **_arrays("trigram", [trigrams[h] for h in histories]),
        **surface([(line.tokens, WEIGHTS.get(line.source, 1)) for line in lines], index, size),
        spelling=_spelling([w for w in frequency if is_word(w)]),
    )
    np.savez_compressed(out, **table)


def _sequences(lines: list[Line]) -> Iterator[tuple[int, list[str], int]]:
    for line in lines:
        weight = WEIGHTS.get(line.source, 1)
        yield DETAIL if line.source == OBJECTS else OVERALL, [word for word, _, _ in line.tokens], weight
        name = leading_name(line.tokens)
        if weight > 1 and name:
            yield NAME, [word for word, _, _ in name], weight


@dataclass
class History:
    """The words that follow a history, their discounted counts, and the rest that the lower order shares out."""

    words: list[int]
    counts: list[int]
    rest: int


def _total(row: History) -> int:
    return sum(row.counts) + row.rest


def _histories(counts: dict[tuple[tuple[int, ...], int], int], discount: int) -> dict[tuple[int, ...], History]:
    rows: dict[tuple[int, ...], History] = {}
    for (history, word), n in sorted(counts.items()):
        row = rows.setdefault(history, History([], [], 1))
        row.rest += min(n, discount)
        if n > discount:
            row.words.append(word)
            row.counts.append(n - discount)
    return rows


def _arrays(order: str, rows: list[History]) -> dict[str, np.ndarray]:
    return {
        f"{order}_ends": np.cumsum([len(row.words) for row in rows], dtype=np.uint32),
        f"{order}_words": np.array([w for row in rows for w in row.words], np.uint16),
        f"{order}_counts": np.array([n for row in rows for n in row.counts], np.uint32),
        f"{order}_rest": np.array([row.rest for row in rows], np.uint32),
    }


def _spelling(words: list[str]) -> np.ndarray:
    """Counts of letters after two letters, each different word once."""
    counts = np.ones((LETTER_END + 1,) * 3, np.uint16)
    for word in words:
        before = last = LETTER_END
        for letter in [*map(LETTERS.index, word), LETTER_END]:
            counts[before, last, letter] += 4
            before, last = last, letter
    return counts
