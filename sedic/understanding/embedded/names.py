"""What the classifier's thousand classes are called: a small tree of plain names, in ``names.txt``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

CLASSES = 1000
TABLE = Path(__file__).with_name("names.txt")


@dataclass(frozen=True)
class Name:
    """A name of the tree.

    Attributes:
        path: the names above it and its own, such as ("animal", "bird", "owl").
        kind: "things" stand in the picture, "places" are where it was taken (a shore), "signs" are named nowhere and
            only vouch for somebody.
        parent: of the name above it, its place in :func:`names`; None at the top.
    """

    path: tuple[str, ...]
    kind: str = "things"
    parent: int | None = None

    @property
    def text(self) -> str:
        """Its own name."""
        return self.path[-1]


@cache
def names() -> tuple[Name, ...]:
    """All names; each stands behind the one above it."""
    return _read()[0]


@cache
def membership() -> np.ndarray:
    """Which classes have which name: (names, classes) float32, 1 for each class of a name or of a kind of it."""
    return _read()[1]


def below(number: int) -> list[int]:
    """The kinds of a name, one level down."""
    return [i for i, name in enumerate(names()) if name.parent == number]


def named(phrase: str) -> int | None:
    """The name that a noun phrase ends in, such as "barn" of "old red barn"; None where it ends in none."""
    words = phrase.lower().replace("-", " ").split()
    for size in range(len(words), 0, -1):
        tail = " ".join(words[-size:])
        for number, name in enumerate(names()):
            own = name.text.replace("-", " ")
            if tail in (own, f"{own}s", f"{own}es") or OTHER_WORDS.get(tail) == name.text:
                return number
    return None


OTHER_WORDS = {
    **dict.fromkeys(("woman", "man", "girl", "boy", "child", "people", "women", "men", "lady", "face"), "person"),
    **dict.fromkeys(("puppy", "puppies"), "dog"),
    **dict.fromkeys(("kitten", "kittens"), "cat"),
    **dict.fromkeys(("airplane", "airplanes", "plane", "planes", "jet"), "aeroplane"),
    **dict.fromkeys(("yacht", "yachts", "sailing boat"), "sailboat"),
    **dict.fromkeys(("couch", "couches"), "sofa"),
    **dict.fromkeys(("bike", "bikes"), "bicycle"),
    **dict.fromkeys(("motorbike", "motorbikes"), "motorcycle"),
    **dict.fromkeys(("house", "houses", "tower"), "building"),
    **dict.fromkeys(("cap", "caps"), "hat"),
    **dict.fromkeys(("macaw", "macaws"), "parrot"),
    **dict.fromkeys(("mug", "mugs"), "cup"),
    **dict.fromkeys(("flowers", "blossom", "blossoms"), "flower"),
}
"""What people and language models call the same things."""


def _read() -> tuple[tuple[Name, ...], np.ndarray]:
    paths: dict[tuple[str, ...], tuple[str, set[int]]] = {}
    kind = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
        elif line and not line.startswith("#"):
            written, _, numbers = line.partition(":")
            path = tuple(part.strip() for part in written.split("/"))
            for depth in range(1, len(path) + 1):
                paths.setdefault(path[:depth], (kind, set()))[1].update(_numbers(numbers))
    ordered = sorted(paths, key=lambda path: (len(path), path))
    found = tuple(Name(path, paths[path][0], ordered.index(path[:-1]) if path[1:] else None) for path in ordered)
    members = np.zeros((len(found), CLASSES), np.float32)
    for row, path in zip(members, ordered, strict=True):
        row[sorted(paths[path][1])] = 1
    return found, members


def _numbers(text: str) -> set[int]:
    """The numbers of ``7 9-11``."""
    found: set[int] = set()
    for part in text.split():
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
