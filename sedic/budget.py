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
from .errors import SedicError
from .semantics import Semantics
from .word_count import count_words, first_words

MOST_LEVELS = 8  # of a text's length
LEVEL_WORDS = 10  # or more, where that would be more levels

Reference = TypeVar("Reference", covariant=True)


class References(Protocol[Reference]):
    """The references that there are to choose from.

    Attributes:
        smallest: the one of fewest bytes.
        most_bytes: what the best of them takes at most.
    """

    @property
    def smallest(self) -> Reference: ...

    @property
    def most_bytes(self) -> float: ...

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
    """The semantics that there are to choose from, by levels of ``step`` words, and what each level costs."""

    def __init__(self, semantics: Semantics, price: Callable[[Semantics], SedicFile]) -> None:
        """``price`` makes a file of semantics; it is asked once for each level."""
        self.semantics = semantics
        texts = [semantics.overall, *(o.detail for o in semantics.objects)]
        lengths = [count_words(text) for text in texts]
        self.step = max(LEVEL_WORDS, -(-max(lengths) // MOST_LEVELS))
        self._lengths = lengths
        overall, *details = (-(-length // self.step) for length in lengths)
        self.full = Share(overall, tuple(details))
        all_objects = len(details)
        self._files = [price(self.taken(Share(k, (k,) * all_objects))) for k in range(max(overall, *details, 1) + 1)]

    def taken(self, share: Share) -> Semantics:
        """The semantics with only that much of them."""
        objects = zip(self.semantics.objects, share.details, self.full.details, strict=False)
        return Semantics(
            self._cut(self.semantics.overall, share.overall, self.full.overall),
            tuple(replace(o, detail=self._cut(o.detail, level, full)) for o, level, full in objects),
        )

    def _cut(self, text: str, level: int, full: int) -> str:
        return text if level >= full else first_words(text, self.step * level)

    def bytes(self, share: Share) -> int:
        """What its sections take, near enough: their texts lean on one another."""
        sections = [self._files[share.overall].sections[2]]
        sections += [self._files[level].sections[3 + j] for j, level in enumerate(share.details)]
        return sum(section.bytes for section in sections)

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
    smallest = pack(references.smallest, Semantics())
    if not smallest.bits_per_pixel <= target_bpp:  # also where it is no number
        works = math.ceil(smallest.bits_per_pixel * 1e4) / 1e4
        raise BudgetError(
            f"{target_bpp} bpp is too little for this picture; the smallest file, without words and objects, is "
            f"{works:.4f} bpp: raise --target-bpp (the node's target_bpp) to that or more."
        )
    content = Content(semantics, lambda part: pack(references.smallest, part))
    room = target_bpp * smallest.width * smallest.height / 8 - smallest.size
    shares = _shares(content, room, len(smallest.reference or b""), references.most_bytes)
    for share in reversed(shares):  # prices are near enough, not exact
        taken = content.taken(share)
        own = pack(references.smallest, taken)
        left = target_bpp * own.width * own.height / 8 - own.size + len(own.reference or b"")
        for spare in range(3):  # a longer reference's length may take two bytes more
            file = pack(references.within(left - spare), taken)
            if file.bits_per_pixel <= target_bpp:
                _tell(content, share, target_bpp)
                return file
    raise AssertionError("the last of the shares is the smallest file, which fits")


def _shares(content: Content, room: float, reference: int, most_reference: float) -> list[Share]:
    """What is bought with ``room`` bytes, step by step, beginning with nothing."""
    shares = [Share()]
    while True:
        share = shares[-1]
        best, best_ratio, best_cost = None, -1.0, 0
        for more in content.next(share):
            cost = content.bytes(more) - content.bytes(share)
            before, behind = (min(max(1.0, reference + r), max(1.0, most_reference)) for r in (room, room - cost))
            gain = content.gain(more) - content.gain(share)
            if cost <= room and gain >= ablation.REFERENCE_DOUBLING * math.log2(before / behind):
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
