"""Learns which pieces words are made of: byte-pair merges (Sennrich et al. 2016) over counted words."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict

from ...bitstream.text.pieces import INSIDE

Pair = tuple[str, str]


def learn_merges(words: dict[str, int], most: int) -> list[Pair]:
    """The pairs of pieces that occur most often next to each other, merged one after the other.

    Args:
        words: how often each word counts; words of letters and apostrophes.
        most: number of merges.

    Returns:
        The merged pairs in order, pieces inside a word marked with ``##``. The same words give the same pairs.
    """
    cuts = [[word[0], *(INSIDE + letter for letter in word[1:])] for word in sorted(words)]
    weights = [words[word] for word in sorted(words)]
    counts: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for i, cut in enumerate(cuts):
        for pair in zip(cut, cut[1:], strict=False):
            counts[pair] += weights[i]
            places[pair].add(i)
    queue = [(-n, pair) for pair, n in counts.items()]
    heapq.heapify(queue)
    merges: list[Pair] = []
    pieces: set[str] = set()
    while queue and len(merges) < most:
        count, pair = heapq.heappop(queue)
        if counts[pair] != -count:  # changed since it was queued, and queued again then
            continue
        joined = pair[0] + pair[1][len(INSIDE) :]
        if joined in pieces:  # made of other parts before: a piece has one number
            continue
        pieces.add(joined)
        merges.append(pair)
        changed: set[Pair] = set()
        for i in list(places[pair]):
            for old in zip(cuts[i], cuts[i][1:], strict=False):
                counts[old] -= weights[i]
                places[old].discard(i)
                changed.add(old)
            cuts[i] = _merged(cuts[i], pair)
            for new in zip(cuts[i], cuts[i][1:], strict=False):
                counts[new] += weights[i]
                places[new].add(i)
                changed.add(new)
        for other in changed:
            if counts[other] > 0:
                heapq.heappush(queue, (-counts[other], other))
    return merges


def _merged(cut: list[str], pair: Pair) -> list[str]:
    result: list[str] = []
    for piece in cut:
        if result and (result[-1], piece) == pair:
            result[-1] += piece[len(INSIDE) :]
        else:
            result.append(piece)
    return result
