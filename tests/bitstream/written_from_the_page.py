"""A reader of .sedic files written from docs/file-format.md alone, in integers: it shows that the page is enough.

It imports nothing of the package but the trained tables, which belong to the format, and the list of a cell's
neighbours, to which the page points. Slow and plain on purpose; what it refuses is not its matter.
"""

from __future__ import annotations

import math
import re
import string
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from sedic.bitstream.mask.context import CODED, MARGIN, fixed_contexts, row_context

PACKAGE = Path(__file__).parents[2] / "sedic"


class Stream:
    """The range coder."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._next = payload, 8
        self._offset, self._range = int.from_bytes(payload[:8].ljust(8, b"\0"), "big"), 2**64 - 1

    def interval(self, ends: Any) -> int:
        """The symbol of which ``ends[k - 1] ≤ quotient < ends[k]``."""
        quotient = self._offset // (self._range >> 24)
        k = int(np.searchsorted(ends, quotient, side="right"))
        start = int(ends[k - 1]) if k else 0
        self._offset -= (self._range >> 24) * start
        self._range = (self._range >> 24) * (int(ends[k]) - start)
        if self._range < 2**32:
            word = self._payload[self._next : self._next + 4].ljust(4, b"\0")
            self._offset, self._range = self._offset << 32 | int.from_bytes(word, "big"), self._range << 32
            self._next += 4
        return k

    def symbol(self, counts: Any) -> int:
        sums, n = np.cumsum(counts, dtype=np.int64), len(counts)
        return self.interval(sums * (2**24 - n) // sums[-1] + np.arange(1, n + 1))

    def one_of_many(self, counts: Any) -> int:
        runs = counts.reshape(-1, 128)
        run = self.symbol(runs.sum(1))
        return run * 128 + self.symbol(runs[run])

    def number(self, limit: int) -> int:
        if limit == 1:
            return 0
        ends = np.arange(1, limit + 1) * (2**24 // limit)
        ends[-1] = 2**24
        return self.interval(ends)


def number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value, shift, at = value | (data[at] & 127) << shift, shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def payloads(data: bytes) -> tuple[dict[str, int], list[bytes]]:
    """The fields of a header without hints, and the payloads of its sections."""
    width, at = number(data, 4)
    height, at = number(data, at)
    codec, quality, counts = data[at : at + 3]
    at += 3 + (4 if codec & 32 else 1 if codec & 128 else 0) + 1
    fields = dict(
        width=width, height=height, codec=codec & 31, quality=quality, objects=counts & 7, text=counts >> 3 & 3
    )
    found = []
    while at < len(data):
        length, at = number(data, at)
        found.append(data[at : at + length])
        at += length + 1
    return fields, found


def rounded(values: Any, bits: int) -> Any:
    return (values + (1 << (bits - 1))) >> bits


def times(weights: Any, values: Any) -> Any:
    """A product of integers, ``weights`` held as float64, which represents these sums exactly."""
    return (weights @ values.astype(np.float64)).astype(np.int64)


class Words:
    """Text coders 2 and 0."""

    def __init__(self, coder: int) -> None:
        table = dict(np.load(PACKAGE / f"bitstream/tables/text{coder}.npz"))
        letters = string.ascii_lowercase
        self.pieces = [""] * 5 + [*table["characters"].tobytes().decode(), *letters, *("##" + c for c in letters + "'")]
        for a, b in table["merges"]:
            self.pieces.append(self.pieces[a] + self.pieces[b][2:])
        whole = {name: value.astype(np.int64) for name, value in table.items() if name not in ("characters", "merges")}
        weights = {name: whole[name].astype(np.float64) for name in ("embedding", "input", "recurrent", "projection")}
        self.t: Any = whole | weights
        self.cell = self.output = np.zeros(self.t["recurrent"].shape[1], np.int64)
        self.read, self.soft, self.last, self.parts = 0, 2**15, 0, None
        self.seen: list[int] = []
        self.behind: dict[tuple[bool, int], list[int]] = {}
        self.coder, self.kind = coder, 0
        self.kept: list[tuple[Any, int]] = []

    def inside(self, piece: int) -> bool:
        return self.pieces[piece].startswith("##") and len(self.pieces[piece]) > 2

    def advance(self, p: int) -> None:
        if self.read == 400:
            return
        self.read += 1
        t = self.t
        if self.parts is not None:
            a, b = int(self.parts[0][p]), int(self.parts[1][p])
            learnt = 2**16 * b // max(1, a + b)
            self.soft = learnt + (2**15 - learnt) // 50
            if p >= 5:
                self.kept.append((self.unit, p))
        e = times(t["input"], t["embedding"][p]) * t["embedding_scale"][p] >> 6
        recurrent = rounded(times(t["recurrent"], self.output) * t["recurrent_scale"], 17)
        gates = rounded(e * t["input_scale"], 24) + recurrent + t["gate_bias"]
        i, f, g, o = np.clip(gates, -8192, 8192).reshape(4, -1) + 8192
        self.cell = (t["sigmoid"][f] * self.cell + t["sigmoid"][i] * t["tanh"][g]) >> 14
        self.output = rounded(t["sigmoid"][o] * t["tanh"][np.clip(self.cell >> 4, -8192, 8192) + 8192], 21)
        if p >= 256 and p not in self.seen:
            self.seen.append(p)
        if p >= 5 and self.last >= 5:
            followers = self.behind.setdefault((self.inside(p), self.last), [])
            if p not in followers:
                followers.append(p)
        self.last = p
        self.counts = self.expected()

    def expected(self) -> Any:
        t = self.t
        projected = rounded(times(t["projection"], self.output) * t["projection_scale"], 22) + t["projection_bias"]
        projected = np.clip(projected, -255, 255)
        self.unit = (projected << 10) // max(1, math.isqrt(int(projected @ projected)))
        logits = rounded(times(t["embedding"], projected) * t["embedding_scale"], 17) + t["logit_bias"]
        d, last = logits.max() - logits, len(t["exponential"]) - 1
        sharp, soft = (t["exponential"][np.minimum(x, last)] for x in (d, d * 4 // 5))
        self.next_parts = [x * ((w << 44) // int(x.sum())) for x, w in ((sharp, 2**16 - self.soft), (soft, self.soft))]
        counts = np.maximum(sum(self.next_parts) >> 24, 1)
        total = int(counts.sum())
        a, b, c = (2, 20, 5) if self.coder == 0 and self.kind == 2 else (10, 40, 20)
        for piece in self.seen:
            counts[piece] += total // (a * (len(self.seen) + b))
        for inside, n, m in ((True, 2, 3), (False, 1, c)):
            followers = self.behind.get((inside, self.last), [])
            for piece in followers:
                counts[piece] += n * total // (m * len(followers))
        if self.coder == 0 and self.kept:
            behind = [max(2**20 - int(u @ self.unit), 0) * 2560 >> 20 for u, _ in self.kept]
            shares, total = [int(t["exponential"][min(d, last)]) for d in behind], int(counts.sum())
            for share, (_, piece) in zip(shares, self.kept, strict=True):
                counts[piece] += (total >> 2) * share // max(sum(shares), 2**24)
        return counts

    def text(self, stream: Stream, kind: int) -> str:
        self.parts, self.kind = None, kind
        self.advance(2 + kind)
        text, before, capitals = "", "", 0
        while True:
            piece = stream.one_of_many(self.counts)
            self.parts = self.next_parts
            if piece == 0:
                self.advance(0)
                return text[1:]
            if self.inside(piece) and before[:1].isascii() and before[:1].isalpha():
                part = self.pieces[piece][2:]
                before += part
                text += part.upper() if capitals == 2 else part
                self.advance(piece)
                continue
            word = chr(stream.number(0x110000)) if piece == 1 else self.pieces[piece]
            spaced = stream.symbol(self.t["spaces"][token_class(before), token_class(word)])
            capitals = 0
            if token_class(word) == 0:
                first = self.t["first_capitals"]
                start = not before and kind != 2
                counts = first[0] if start else first[1] if before in (".", "!", "?") else self.t["capitals"][piece]
                capitals = stream.symbol(counts)
            text += " " * spaced + (word, word[:1].upper() + word[1:], word.upper())[capitals]
            before = word
            self.advance(piece)


def token_class(word: str) -> int:
    if not word:
        return 35
    if re.match("[a-zA-Z]", word):
        return 0
    return 1 if word in string.digits else 2 + string.punctuation.index(word) if word in string.punctuation else 34


class Masks:
    """Mask coder 2, of pictures whose units are pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.t = {name: v.astype(np.int64) for name, v in np.load(PACKAGE / "bitstream/tables/mask2.npz").items()}
        self.taken = np.zeros((height, width), bool)
        self.number = self.last = 0
        grids = ((s, -(-width // s) * -(-height // s)) for s in (3, 4, 5, 6, 8, 10, 12, 16, 20, 24))
        self.sizes = [s for s, cells in grids if cells <= 24576]

    def network(self, name: str, x: Any) -> Any:
        t, x = self.t, x.astype(np.int64)
        layers = sum(key.startswith(name + "_w") for key in t)
        for i in range(layers - 1):
            x = x @ t[f"{name}_w{i}"] + t[f"{name}_b{i}"]
            x = np.clip(x >> 8 if i else x, 0, 2**16)
        return x @ t[f"{name}_w{layers - 1}"] + t[f"{name}_b{layers - 1}"]

    def mask(self, stream: Stream) -> Any:
        presence = stream.symbol([1, 1, 30])
        if presence < 2:
            return None if presence == 0 else np.zeros_like(self.taken)
        every = {3: 6, 4: 8, 5: 10, 6: 10, 8: 14, 10: 14, 12: 14, 16: 12, 20: 8, 24: 4}
        if not self.last or stream.symbol([31, 1]):
            self.last = self.sizes[stream.symbol([every[s] for s in self.sizes])]
        s, (height, width) = self.last, self.taken.shape
        blocks = {
            (r, c): (slice(r * s, min(r * s + s, height)), slice(c * s, min(c * s + s, width)))
            for r, c in product(range(-(-height // s)), range(-(-width // s)))
        }
        cells = np.zeros((-(-height // s), -(-width // s)), bool)
        owned = np.zeros_like(cells)
        for place, block in blocks.items():
            owned[place] = self.taken[block].sum() * 2 >= self.taken[block].size
        fixed, padded = fixed_contexts(owned, self.number), np.zeros((len(cells) + MARGIN, cells.shape[1] + 2 * MARGIN))
        for row, column in blocks:
            if column == 0:
                above = cells[:row]
                by_row = row_context(row, *cells.shape, bool(above[-1:].any()), int(above.sum()))
            if not owned[row, column]:
                near = padded[tuple((CODED + [row + MARGIN, column + MARGIN]).T)]
                z = int(self.network("cell", np.concatenate([near, fixed[row, column], by_row]))[0])
                ones = int(self.t["ones"][min(max((z + 2**10) >> 11, -416), 416) + 416])
                inside = stream.interval([2**24 - ones, 2**24])
                cells[row, column] = padded[row + MARGIN, column + MARGIN] = inside
        drawn = self.draw(cells, s, blocks, owned)
        self.taken = self.taken | drawn
        self.number += 1
        return drawn

    def draw(self, cells: Any, s: int, blocks: Any, owned: Any) -> Any:
        around = np.pad(cells, 2, mode="edge")
        parts = np.zeros((cells.shape[0] * 8, cells.shape[1] * 8), np.int64)
        for r, c in blocks:
            near = around[r : r + 5, c : c + 5]
            score = np.full((8, 8), 2**12 if cells[r, c] else -(2**12))
            if near.any() and not near.all():
                score = np.clip(self.network("draw", near.ravel()) >> 8, -(2**12), 2**12).reshape(8, 8)
            parts[8 * r : 8 * r + 8, 8 * c : 8 * c + 8] = score
        for axis in (0, 1):
            n = parts.shape[axis]
            p = (2 * np.arange(n // 8 * s) + 1) * 8 - s
            low, r = p // (2 * s), p % (2 * s)
            r = r.reshape(-1, 1) if axis == 0 else r
            lower, upper = (parts.take(np.clip(x, 0, n - 1), axis) for x in (low, low + 1))
            parts = lower * (2 * s - r) + upper * r
        scores = parts[: self.taken.shape[0], : self.taken.shape[1]]
        drawn = (scores > 0) & ~self.taken
        for place, block in blocks.items():
            n, inside = drawn[block].size, int(drawn[block].sum())
            wanted = max(inside, (n + 1) // 2) if cells[place] else min(inside, (n - 1) // 2)
            if wanted != inside and not owned[place]:
                ranks = np.where(self.taken[block], -(2**30), scores[block]).ravel()
                order = sorted(range(n), key=lambda i: (-ranks[i], i))
                chosen = np.zeros(n, bool)
                chosen[order[:wanted]] = True
                drawn[block] = chosen.reshape(drawn[block].shape)
        return drawn
