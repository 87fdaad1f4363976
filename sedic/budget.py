"""Rate control: the reference, the objects and the words that a budget of bytes buys.

Greedy: of the next ten words and the next object, the one that brings most per byte (:mod:`sedic.ablation`) is
bought as long as it brings more than the same bytes do for the reference, which gets what is left.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from . import ablation
from .bitstream import SedicFile
from .bitstream.sections import reworded
from .errors import SedicError
from .progress import track
from .semantics import Semantics
from .word_count import count_words, first_words

MOST_LEVELS = 8  # of a text's length
LEVEL_WORDS = 10  # or more, where that would be more levels


class Coded(Protocol):
    """What is asked of a reference."""

    @property
    def data(self) -> bytes: ...

    @property
    def quality(self) -> int: ...

    @property
    def fingerprint(self) -> bytes: ...


Reference = TypeVar("Reference", bound=Coded, covariant=True)


class References(Protocol[Reference]):
    """The references that there are to choose from; see :mod:`.qualities`.

    Attributes:
        first: one of them, the cheapest to have.
        smallest: the one of fewest bytes.
        most_bytes: what the best of them takes at most; infinite while nobody knows.
    """

    @property
    def first(self) -> Reference: ...

    @property
    def smallest(self) -> Reference: ...

    @property
    def most_bytes(self) -> float: ...

    def fits(self, most_bytes: float) -> bool:
        """Whether there is one of at most so many bytes."""
        ...

    def within(self, most_bytes: float) -> Reference:
        """The best of at most so many bytes, or ``smallest`` where there is none."""
        ...


class BudgetError(SedicError):
    """The budget is below the smallest file."""


@dataclass(frozen=True)
class Share:
    """How much of the semantics is taken, in levels of words: of the overall text, and of each object's detail."""

    overall: int = 0
    details: tuple[int, ...] = ()


class Content:
    """The semantics that there are to choose from, by levels of ``step`` words, and what each level costs.

    Attributes:
        all: the file of all of it.
        semantics: as that file has it: masks are on their grids, which are chosen once.
    """

    def __init__(self, semantics: Semantics, pack: Callable[[Semantics], SedicFile]) -> None:
        """``pack`` makes a file of semantics; it is asked once for each level."""
        texts = [semantics.overall, *(o.detail for o in semantics.objects)]
        lengths = [count_words(text) for text in texts]
        self.step = max(LEVEL_WORDS, -(-max(lengths) // MOST_LEVELS))
        self._lengths, self._pack = lengths, pack
        overall, *details = (-(-length // self.step) for length in lengths)
        self.full = Share(overall, tuple(details))
        self.all = pack(semantics)
        self.semantics = self.all.written
        top = max(overall, *details, 1)
        words = Semantics(semantics.overall, tuple(replace(o, mask=None) for o in semantics.objects))
        shares = [Share(level, (level,) * len(details)) for level in range(top)]
        files = [pack(self._taken(words, share)) for share in track(shares, "prices of the words")]
        self._words = [[section.bytes for section in file.sections[2:]] for file in files]
        self._words.append([section.bytes - section.mask_bytes for section in self.all.sections[2:]])
        self._masks = [section.mask_bytes for section in self.all.sections[3:]]

    def taken(self, share: Share) -> Semantics:
        """The semantics with only that much of them."""
        return self._taken(self.semantics, share)

    def file(self, share: Share) -> SedicFile:
        """A file of that much."""
        return self.all if share == self.full else self._pack(self.taken(share))

    def _taken(self, semantics: Semantics, share: Share) -> Semantics:
        objects = zip(semantics.objects, share.details, self.full.details, strict=False)
        return Semantics(
            self._cut(semantics.overall, share.overall, self.full.overall),
            tuple(reworded(o, self._cut(o.detail, level, full)) for o, level, full in objects),
        )

    def _cut(self, text: str, level: int, full: int) -> str:
        return text if level >= full else first_words(text, self.step * level)

    def bytes(self, share: Share) -> int:
        """What its sections take, near enough: their texts lean on one another."""
        objects = enumerate(share.details)
        return self._words[share.overall][0] + sum(self._words[level][1 + j] + self._masks[j] for j, level in objects)

    def gain(self, share: Share) -> float:
        """What it brings, by :mod:`sedic.ablation`; an object without a mask is not restored and brings nothing."""
        gain = ablation.overall_gain(min(self._lengths[0], self.step * share.overall))
        for j, level in enumerate(share.details):
            if self.semantics.objects[j].mask is not None:
                gain += ablation.object_gain(j, min(self._lengths[1 + j], self.step * level))
        return gain

    def next(self, share: Share) -> Iterator[Share]:
        """What can be taken next: more words of one text, or more objects, which may pay only together."""
        if share.overall < self.full.overall:
            yield replace(share, overall=share.overall + 1)
        for j, level in enumerate(share.details):
            if level < self.full.details[j]:
                yield replace(share, details=(*share.details[:j], level + 1, *share.details[j + 1 :]))
        new = self.full.details[len(share.details) :]
        for count in range(1, len(new) + 1):
            for most in range(min(1, max(new)), max(new) + 1):
                yield replace(share, details=share.details + tuple(min(most, full) for full in new[:count]))


def fit(
    semantics: Semantics,
    target_bpp: float,
    references: References[Reference],
    pack: Callable[[Reference, Semantics], SedicFile],
) -> SedicFile:
    """The file of at most ``target_bpp`` that :mod:`sedic.ablation` expects most of; tells what it had to leave out.

    Args:
        semantics: all that may go into the file, the most important object first.
        target_bpp: bits per pixel of the whole file.
        references: to choose from.
        pack: joins one of them and semantics to a file.

    Raises:
        BudgetError: not even the smallest reference without words fits; says what does.
    """
    first = references.first
    bare = pack(first, Semantics())
    most = target_bpp * bare.width * bare.height / 8  # bytes
    room = most - bare.size + len(first.data)  # of the reference, words and masks
    if not references.fits(room):  # also where the budget is no number
        smallest = pack(references.smallest, Semantics())
        if not smallest.bits_per_pixel <= target_bpp:
            works = math.ceil(smallest.bits_per_pixel * 1e4) / 1e4
            raise BudgetError(
                f"{target_bpp} bpp is too little for this picture; the smallest file, without words and objects, is "
                f"{works:.4f} bpp: raise --target-bpp (the node's target_bpp) to that or more."
            )
    content = Content(semantics, lambda part: pack(first, part))
    shares = _shares(content, room, 0, references.most_bytes)
    if not references.fits(room - content.bytes(shares[-1])):
        shares = _shares(content, room, len(references.smallest.data), references.most_bytes)
    while True:
        share = shares.pop()
        own = content.file(share)
        left = most - own.size + len(own.reference or b"")
        known = references.most_bytes
        for spare in range(3):  # a longer reference's length may take two bytes more
            reference = references.within(left - spare)
            file = own.with_reference(reference.data, reference.quality, reference.fingerprint)
            if file.size <= most:
                break
        if references.most_bytes < known and share != content.full:  # words that the best reference leaves room for
            shares = _shares(content, room, 0, references.most_bytes)
        elif file.size <= most:  # prices are near enough, not exact
            _tell(content, share, target_bpp)
            return file


def _shares(content: Content, room: float, least_reference: int, most_reference: float) -> list[Share]:
    """What is bought with ``room`` bytes, step by step, beginning with nothing, and leaving ``least_reference``."""
    shares = [Share()]
    while True:
        share = shares[-1]
        best, best_ratio, best_cost = None, -1.0, 0
        for more in content.next(share):
            cost = content.bytes(more) - content.bytes(share)
            before, behind = (min(max(1.0, left), max(1.0, most_reference)) for left in (room, room - cost))
            gain = content.gain(more) - content.gain(share)
            if cost <= room - least_reference and gain >= ablation.REFERENCE_DOUBLING * math.log2(before / behind):
                ratio = gain / max(1, cost)
                if ratio > best_ratio:
                    best, best_ratio, best_cost = more, ratio, cost
        if best is None:
            return shares
        shares.append(best)
        room -= best_cost


def _tell(content: Content, share: Share, target_bpp: float) -> None:
    if share == content.full:
        return
    objects = content.semantics.objects
    left_out = [f"{o.name!r}" for o in objects[len(share.details) :]]
    left_out += [
        f"words of {o.name!r} behind {content.step * level}"
        for j, (o, level) in enumerate(zip(objects, share.details, strict=False))
        if level < content.full.details[j]
    ]
    if share.overall < content.full.overall:
        left_out.append(f"words of the whole behind {content.step * share.overall}")
    warnings.warn(f"{target_bpp} bpp leave out {', '.join(left_out)}.", stacklevel=4)
