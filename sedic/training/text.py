"""Makes the table of text coder 1 from image descriptions.

``python -m sedic.training.text DATA OUT.npz`` with DATA the folder that holds ``text/lmm_train.txt``,
``text/captions_train.txt`` and, parallel to them, ``.src`` files that name each line's source. Takes half a minute;
the same lines give the same bytes. ``python -m sedic.training.text measure DATA`` prints what texts then cost.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..bitstream.coder import Encoder
from ..bitstream.text import DETAIL, NAME, OVERALL
from ..bitstream.text.trigram import (
    CODE_POINT,
    END,
    LETTER_END,
    LETTERS,
    SPELLED,
    START_CLASS,
    TrigramCoder,
    is_word,
    split_tokens,
    token_class,
)
from ..semantics import Semantics

# How often a line of a source counts: an object's description is nearest to what the files hold, then dense texts.
WEIGHTS = {
    "iiw-objects": 8,
    **dict.fromkeys(("comprecap-GPT-4o", "iiw-human", "dpg-bench", "docci-human"), 4),
    **dict.fromkeys(("vbench-gpt", "vbench-wan", "iiw-p5b", "image-textualization"), 2),
}
BIGRAM_DISCOUNT, TRIGRAM_DISCOUNT = 1, 6  # what is left of a count at or below them is nothing: it is not stored
# Where a noun phrase at the start of a description ends.
PHRASE_ENDS = (
    "is are was were be has have had with in on of that and at by to from for sits sitting standing stands lying can "
    "appears features shows depicts wearing holding as stretches extends seen visible positioned located placed "
    "hanging parked made featuring which who while walking looking riding playing . , ; : ( ) - ' \""
)
MOST_NAME_WORDS = 4

Line = list[tuple[str, bool, int]]


def read_lines(data: Path) -> list[tuple[Line, str]]:
    """The training texts as tokens, each with its source."""
    lines = []
    for name in ("lmm_train", "captions_train"):
        texts = (data / "text" / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
        sources = (data / "text" / f"{name}.src").read_text(encoding="utf-8").rstrip("\n").split("\n")
        lines += [(split_tokens(t), s.split("\t")[0]) for t, s in zip(texts, sources, strict=True)]
    return lines


def leading_name(line: Line) -> list[str]:
    """The noun phrase after an article that opens a description, as an example of an object's name; may be empty."""
    words, ends = [word for word, _, _ in line], PHRASE_ENDS.split()
    if words[0] not in ("a", "an", "the"):
        return []
    end = next((i for i, word in enumerate(words) if word in ends), 0)
    return words[1:end] if 1 < end <= MOST_NAME_WORDS + 1 else []


def train(data: Path, out: Path) -> None:
    """Counts words, pairs and triples and writes the table of :class:`sedic.bitstream.text.trigram.WordModel`.

    Args:
        data: the folder with ``text/``.
        out: the npz to write; an existing one is replaced.
    """
    lines = read_lines(data)
    frequency: Counter[str] = Counter()
    for line, source in lines:
        for word, _, _ in line:
            frequency[word] += WEIGHTS.get(source, 1)
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
        **_surface(lines, index, size),
        spelling=_spelling([w for w in frequency if is_word(w)]),
    )
    np.savez_compressed(out, **table)


def _sequences(lines: list[tuple[Line, str]]) -> Iterator[tuple[int, list[str], int]]:
    for line, source in lines:
        weight = WEIGHTS.get(source, 1)
        words = [word for word, _, _ in line]
        yield DETAIL if source == "iiw-objects" else OVERALL, words, weight
        name = leading_name(line)
        if weight > 1 and name:
            yield NAME, name, weight


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


def _surface(lines: list[tuple[Line, str]], index: Callable[[str], int], size: int) -> dict[str, np.ndarray]:
    """Counts of spaces and capitals; each word's own capitals lean on those of all words."""
    spaces = np.ones((START_CLASS + 1, START_CLASS + 1, 2), np.int64)
    first_capitals = np.ones((2, 3), np.int64)
    capitals = np.zeros((size, 3), np.int64)
    for line, source in lines:
        weight = WEIGHTS.get(source, 1)
        before = ""
        for word, spaced, capital in line:
            spaces[token_class(before) if before else START_CLASS, token_class(word), int(spaced)] += weight
            if is_word(word):
                if not before or before in ".!?":
                    first_capitals[1 if before else 0, capital] += weight
                else:
                    capitals[index(word), capital] += weight
            before = word
    common = capitals.sum(0) + 1
    capitals = capitals * 250 // np.maximum(capitals.sum(1, keepdims=True), 250) + 1 + 4 * common // common.sum()
    return {
        "spaces": spaces.astype(np.uint32),
        "first_capitals": first_capitals.astype(np.uint32),
        "capitals": capitals.astype(np.uint8),
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


def measure(data: Path, lines_of_a_source: int = 250) -> None:
    """Prints bytes a picture for the described pictures, and bits per character for held-out lines by source."""
    for name in ("kodak", "clic"):
        sizes = []
        for path in sorted((data / name).glob("*.json")):
            scene, coder = Semantics.read(path), TrigramCoder()
            encoder = Encoder()
            coder.write(encoder, scene.overall, OVERALL)
            sizes.append(len(encoder.finish()))
            for o in scene.objects:
                encoder = Encoder()
                coder.write(encoder, o.name, NAME)
                coder.write(encoder, o.detail, DETAIL)
                sizes[-1] += len(encoder.finish())
        print(
            f"{name}: {np.mean(sizes):.1f} bytes of text a picture, {min(sizes)} to {max(sizes)}, {len(sizes)} pictures"
        )
    texts = (data / "text" / "lmm_heldout.txt").read_text(encoding="utf-8").split("\n")
    sources = (data / "text" / "lmm_heldout.src").read_text(encoding="utf-8").split("\n")
    bits, characters, lines = Counter[str](), Counter[str](), Counter[str]()
    for text, source in zip(texts, sources, strict=True):
        source = source.split("\t")[0]
        if 0 < len(text.split()) <= 50 and lines[source] < lines_of_a_source:
            encoder = Encoder()
            TrigramCoder().write(encoder, text, DETAIL if source == "iiw-objects" else OVERALL)
            for key in (source, "all"):
                bits[key] += 8 * len(encoder.finish())
                characters[key] += len(text)
                lines[key] += 1
    for source in sorted(bits):
        print(f"{source}: {bits[source] / characters[source]:.3f} bits per character, {lines[source]} lines")


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        measure(Path(sys.argv[2]))
    else:
        train(Path(sys.argv[1]), Path(sys.argv[2]))
