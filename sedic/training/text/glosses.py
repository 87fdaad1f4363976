"""WordNet's definitions as documents: what things are called and how they look, far beyond what descriptions here name.

They are no descriptions of pictures, but as terse as details: "red wine", "a dry wine of dark grapes". A teacher tells
what it expects of their words, and so a small network hears of more things than the training texts have.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from ...bitstream.text import DETAIL, NAME, OVERALL
from .descriptions import DROPPING, Text, without, words_of

NOUNS = {
    3,
    5,
    6,
    8,
    13,
    15,
    17,
    18,
    19,
    20,
    25,
    27,
}  # lexicographer files of what can be seen
ADJECTIVES = {0, 44}
SHORTEST = 12  # characters of a definition or example
TOGETHER = 3  # neighbours in WordNet that make one document


def documents(folder: Path, seed: int = 0) -> list[list[Text]]:
    """Documents in the order of a file: examples as the overall text, then names and definitions.

    Args:
        folder: WordNet's ``dict``, with ``data.noun`` and ``data.adj`` (versions 3.0 and 3.1).
        seed: of the order, and of which articles are left out.
    """
    chance, found = random.Random(seed), list[list[Text]]()
    for name, wanted in (("data.noun", NOUNS), ("data.adj", ADJECTIVES)):
        entries = list(_entries(folder / name, wanted, chance))
        for top in range(0, len(entries) - TOGETHER + 1, TOGETHER):
            found.append(_document(entries[top : top + TOGETHER], name == "data.noun", chance))
    chance.shuffle(found)
    return found


def _entries(path: Path, wanted: set[int], chance: random.Random) -> Iterator[tuple[str, str, list[str]]]:
    """Of each synset one of its first two lemmas, the definition, and the examples."""
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):  # the licence
            continue
        fields, gloss = line.split(" | ", 1)
        head = fields.split()
        if int(head[1]) not in wanted:
            continue
        lemmas = head[4 : 4 + 2 * int(head[3], 16) : 2]
        lemma = re.sub(r"\(.*\)", "", chance.choice(lemmas[:2])).replace("_", " ").lower()
        definition = re.sub(r'^\([^)]*\)\s*|;?\s*"[^"]*"', "", gloss).strip(" ;")
        if len(definition) >= SHORTEST and definition.isascii():
            yield lemma, definition, re.findall(rf'"([^"]{{{SHORTEST},}})"', gloss)


def _document(entries: list[tuple[str, str, list[str]]], named: bool, chance: random.Random) -> list[Text]:
    texts = []
    if examples := [example for *_, examples in entries for example in examples]:
        texts.append(Text(OVERALL, words_of(". ".join(examples[:2]))))
    for lemma, definition, _ in entries:
        if named or chance.random() < 0.5:
            texts.append(Text(NAME, words_of(lemma)))
        texts.append(Text(DETAIL, words_of(definition + "." * (chance.random() < 0.5))))
    dropping = chance.choice(DROPPING)
    return [Text(text.kind, without(text.words, chance, dropping) or text.words) for text in texts]
