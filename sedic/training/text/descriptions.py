"""Picture descriptions as training texts: lines with their sources, and documents in the order of a file's texts."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...bitstream.text import DETAIL, NAME, OVERALL
from ...bitstream.text.tokens import split_tokens

Tokens = list[tuple[str, bool, int]]  # word, whether a space precedes it, capitals; see split_tokens

OBJECTS = "iiw-objects"  # the source that describes one object a line
# Where a noun phrase at the start of a description ends.
_ENDS = (
    "is are was were be has have had with in on of that and at by to from for sits sitting standing stands lying can "
    "appears features shows depicts wearing holding as stretches extends seen visible positioned located placed "
    "hanging parked made featuring which who while walking looking riding playing . , ; : ( ) - ' \""
)
PHRASE_ENDS = frozenset(_ENDS.split())
ARTICLES = ("a", "an", "the")
# How often a pass over the data takes a line of a source: dense descriptions are nearest to what a file holds.
PASSES = {
    OBJECTS: 2.5,
    **dict.fromkeys(("comprecap-GPT-4o", "iiw-human", "dpg-bench", "docci-human"), 2.0),
    "image-textualization": 1.5,
    "comprecap-LLava-Next-34B": 0.8,
    **dict.fromkeys(("vbench-gpt", "vbench-wan", "iiw-p5b", "sepo-amber", "text2img-short", "partiprompts"), 1.0),
}
OTHER_PASSES = {"chair": 0.1, "coco": 0.3}  # by how the source's name begins; 0.8 for all others
IMAGINED = Path(__file__).with_name("imagined.jsonl")
MOST_NAME_WORDS = 4
DROPPED = ("a", "an", "the", "is", "are")  # by terse writers
DROPPING = (0.0, 0.0, 0.0, 0.6, 0.95)  # how likely each is dropped, one of these for a document


@dataclass(frozen=True)
class Line:
    """One description: its tokens, its source's name and the picture that it describes."""

    tokens: Tokens
    source: str
    picture: str


def read_lines(data: Path) -> list[Line]:
    """The training texts as tokens, each with its source and picture."""
    lines = []
    for number, (text, origin) in enumerate(read_texts(data)):
        source, _, picture = origin.partition("\t")
        lines.append(Line(split_tokens(text), source, picture or f"line {number}"))
    return lines


def read_texts(data: Path, names: Sequence[str] = ("lmm_train", "captions_train")) -> list[tuple[str, str]]:
    """Lines of ``data/text/NAME.txt``, each with that of ``NAME.src``: source, tab, picture."""
    pairs: list[tuple[str, str]] = []
    for name in names:
        texts, origins = (
            (data / "text" / f"{name}.{ending}").read_text(encoding="utf-8").rstrip("\n").split("\n")
            for ending in ("txt", "src")
        )
        pairs += zip(texts, origins, strict=True)
    return pairs


def read_held_out(data: Path, most_words: int = 50) -> list[tuple[str, str]]:
    """Held-out descriptions of at most as many words, each with its source."""
    pairs = read_texts(data, ["lmm_heldout"])
    return [(text, origin.partition("\t")[0]) for text, origin in pairs if len(text.split()) <= most_words]


def leading_name(tokens: Tokens, article_needed: bool = True) -> Tokens:
    """The noun phrase that opens a description, as an example of an object's name; may be empty."""
    opened = tokens[0][0] in ARTICLES
    if article_needed and not opened:
        return []
    rest = tokens[opened:]
    end = next((i for i, (word, _, _) in enumerate(rest) if word in PHRASE_ENDS), 0)
    return rest[:end] if end <= MOST_NAME_WORDS else []


@dataclass(frozen=True)
class Text:
    """One text of a document: ``kind`` is OVERALL, DETAIL or NAME of :mod:`sedic.bitstream.text`."""

    kind: int
    words: list[str]


def words_of(text: str) -> list[str]:
    """The words of a text and its other characters, in small letters."""
    return [word for word, _, _ in split_tokens(text)]


def read_imagined(path: Path = IMAGINED) -> list[list[Text]]:
    """Words of photographs that a large language model imagined, as it would describe such: what files hold today."""
    documents = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        texts = [(OVERALL, row["overall"])]
        for one in row["objects"]:
            texts += [(NAME, one["name"]), (DETAIL, one["detail"])]
        documents.append([Text(kind, words_of(text)) for kind, text in texts])
    return documents


class Documents:
    """Texts in the order of a file: one overall text, then names and details of the same picture.

    Few pictures come with an overall text and details, so they are made: the first sentences of a description are
    its overall text and later ones are details, named by the phrase that opens them; or several descriptions of one
    picture follow each other. Two documents in five are made terse, since who may use thirty words leaves articles out.
    """

    def __init__(self, lines: list[Line], ready: Sequence[list[Text]] = ()) -> None:
        """Takes lines, and documents that are ready, each of which a pass takes twice."""
        self._ready = ready
        self._pictures: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            self._pictures[line.picture].append(line)

    def shuffled(self, seed: int) -> list[list[Text]]:
        """One pass over the data in a random order."""
        chance = random.Random(seed)
        documents = [document for picture in sorted(self._pictures) for document in self._of(picture, chance)]
        documents += [*self._ready, *self._ready]
        chance.shuffle(documents)
        return documents

    def _of(self, picture: str, chance: random.Random) -> Iterator[list[Text]]:
        lines = [line for line in self._pictures[picture] for _ in range(_repetitions(line.source, chance))]
        chance.shuffle(lines)
        objects = [line.tokens for line in lines if line.source == OBJECTS]
        others = [line.tokens for line in lines if line.source != OBJECTS]
        while objects or others:
            document: list[Text] = []
            if others:
                document += _described(others.pop(), chance)
            for _ in range(chance.randint(0 if document else 1, 3)):
                if objects:
                    document += _detail(objects.pop(), chance)
            if others and chance.random() < 0.25:
                document.append(Text(DETAIL, _terse(others.pop(), chance, 0.3)))
            dropping = chance.choice(DROPPING)
            yield [replace(text, words=without(text.words, chance, dropping)) for text in document]


def _repetitions(source: str, chance: random.Random) -> int:
    passes = PASSES.get(source, OTHER_PASSES.get(source.partition("-")[0], 0.8))
    return int(passes) + (chance.random() < passes % 1)


def _described(tokens: Tokens, chance: random.Random) -> list[Text]:
    """A description as an overall text; or its first sentences, and later ones as details."""
    sentences = _sentences(tokens)
    if len(sentences) < 3 or chance.random() < 0.5:
        return [Text(OVERALL, _terse(tokens, chance, 0.05))]
    first = chance.randint(1, min(3, len(sentences) - 1))
    document = [Text(OVERALL, _terse([t for sentence in sentences[:first] for t in sentence], chance, 0.2))]
    later = sentences[first:]
    chance.shuffle(later)
    for sentence in later[: chance.randint(0, 3)]:
        document += _detail(sentence, chance)
    return document


def _detail(tokens: Tokens, chance: random.Random) -> list[Text]:
    detail = Text(DETAIL, _terse(tokens, chance, 0.5))
    name = leading_name(tokens, article_needed=False)
    if name and chance.random() < 0.75:
        return [Text(NAME, [word for word, _, _ in name]), detail]
    return [detail]


def _terse(tokens: Tokens, chance: random.Random, often: float) -> list[str]:
    """The words, as often without the article that opens them, and sometimes without the full stop."""
    words = [word for word, _, _ in tokens]
    if len(words) > 3 and words[-1] == "." and chance.random() < 0.15:
        words = words[:-1]
    return words[1:] if len(words) > 2 and words[0] in ARTICLES and chance.random() < often else words


def without(words: list[str], chance: random.Random, dropping: float) -> list[str]:
    return [word for word in words if word not in DROPPED or chance.random() >= dropping]


def _sentences(tokens: Tokens) -> list[Tokens]:
    sentences: list[Tokens] = [[]]
    for token in tokens:
        sentences[-1].append(token)
        if token[0] == ".":
            sentences.append([])
    return [sentence for sentence in sentences if sentence]
