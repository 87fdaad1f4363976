"""The symbols of a ``compact`` reference read as docs/file-format.md tells it; see :mod:`.written_from_the_page`."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from .written_from_the_page import PACKAGE, Stream, rounded, times


class Reference:
    """The symbols of codec 3 or 4."""

    def __init__(self, codec: int, quality: int) -> None:
        self.t = load_file(PACKAGE / "reference/weights/compact.safetensors")
        self.later = codec == 4
        if self.later:
            self.t |= load_file(PACKAGE / "reference/weights/compact_written.safetensors")
        self.q = quality - 1
        upper = self.t["table.distribution"].astype(np.int64)
        self.d = np.concatenate([2**24 - upper[:, :0:-1], upper], 1)

    def product(self, name: str, x: Any) -> Any:
        weight = self.t[f"{name}.weight"].astype(np.float64)
        margin = weight.shape[-1] // 2
        padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
        rows, columns = x.shape[1:]
        total = np.zeros((len(weight), rows, columns), np.int64)
        for y, z in product(range(weight.shape[2]), range(weight.shape[3])):
            part = padded[:, y : y + rows, z : z + columns].reshape(len(x), -1)
            total += times(weight[:, :, y, z], part).reshape(total.shape)
        factor, bias = (self.t[f"{name}.{part}"].astype(np.int64)[:, None, None] for part in ("factor", "bias"))
        return total * factor + (bias << 14)

    def knots(self, name: str) -> Any:
        rows = self.t[f"{name}.knots"].astype(np.int64)
        low = min(self.q // 8, 6)
        r = self.q - 8 * low
        return ((rows[low] * (8 - r) + rows[low + 1] * r) << 11)[:, None, None]

    def level(self, stream: Stream, level: str, size: tuple[int, int], hints: Any) -> Any:
        most = 63 if level == "coarse" else 31
        symbols = np.zeros((32 if level == "coarse" else 64, *size), np.int64)
        for number, turn in enumerate((0, 3, 1, 2)):
            name, seen = f"prior.{level}{number}", np.clip(symbols, -most, most)
            first = self.product(f"{name}.first", seen) + self.knots(f"{name}.first")
            if hints is not None:
                first = first + self.product(f"{name}.first_hints", hints)
            second = self.product(f"{name}.second", activated(first))
            last = self.product(f"{name}.last", activated(second)) + self.knots(f"{name}.last")
            means, scales = np.split(last, 2)
            if level == "coarse":
                means = means + self.product(f"{name}.linear", seen)
            means = rounded(means, 25) * (4 if level == "coarse" else 1)
            scales = np.clip(rounded(scales, 27) + 38, 0, 70)
            places = [
                (channel, row, column)
                for phase in range(4)
                for channel in range(turn ^ phase, len(symbols), 4)
                for row in range(phase // 2, size[0], 2)
                for column in range(phase % 2, size[1], 2)
            ]
            self.coded(stream, {p: (int(means[p]), int(scales[p]), 0) for p in places}, symbols)
        return symbols

    def hierarchy(self, stream: Stream, size: tuple[int, int]) -> Any:
        symbols = np.zeros((32, *size), np.int64)
        sets = [[(0, 0, 4)], [(2, 2, 4)], [(0, 2, 4), (2, 0, 4)], [(1, 1, 2)], [(0, 1, 2)], [(1, 0, 2)]]
        for s, lattices in enumerate(sets):
            positions = [
                (row, column)
                for first_row, first_column, step in lattices
                for row in range(first_row, size[0], step)
                for column in range(first_column, size[1], step)
            ]
            around = np.zeros((160, *size), np.int64)
            if s > 0:
                around = self.product(f"hierarchy.set{s}.around", np.clip(symbols, -63, 63))
            for g, (low, end) in enumerate([(0, 1), (1, 4), (4, 10), (10, 32)]):
                name = f"hierarchy.set{s}.group{g}"
                own = np.zeros((128 + end - low, *size), np.int64)
                if g > 0:
                    own = self.product(f"{name}.own", np.clip(symbols[:low], -63, 63))
                first = around[:128] + own[:128] + self.knots(f"{name}.first")
                second = self.product(f"{name}.second", activated(first))
                last = self.product(f"{name}.last", activated(second)) + self.knots(f"{name}.last")
                means, scales, zeros = np.split(last, 3)
                means = rounded(means + around[128 + low : 128 + end] + own[128:], 25) * 4
                scales, zeros = np.clip(rounded(scales, 27) + 38, 0, 70), np.clip(rounded(zeros, 27) + 64, 0, 96)
                shares = self.t["table.shares"].astype(np.int64)[zeros]
                expected = {
                    (low + channel, *p): tuple(int(v[(channel, *p)]) for v in (means, scales, shares))
                    for channel in range(end - low)
                    for p in positions
                }
                self.coded(stream, expected, symbols)
        return symbols

    def coded(self, stream: Stream, expected: Any, symbols: Any) -> None:
        """Reads what is not sure; ``expected``: of each place mean, scale and share of zeros."""
        places = [place for place, known in expected.items() if not self.sure(*known)]
        for start in range(0, len(places), 2**14):
            self.run(stream, places[start : start + 2**14], expected, symbols)

    def run(self, stream: Stream, places: Any, expected: Any, symbols: Any) -> None:
        escaped = []
        for place in places:
            m, k, share = expected[place]
            middle = (m + 16) >> 5
            borders = np.clip((np.arange(17) - 8) * 32 + 16 - (m - 32 * middle), -256, 256)
            ends = self.d[k][borders + 256] * (2**24 - share) >> 24
            ends += np.where(np.arange(17) >= 8 - middle, share, 0)
            ends = (ends * (2**24 - 17) >> 24) + np.arange(1, 18)
            ends[-1] = 2**24
            j = stream.interval(ends)
            symbols[place] = middle + j - 8
            if j in (0, 16):
                escaped.append((place, -1 if j == 0 else 1))
        for place, sign in escaped:
            digits = stream.number(16)
            beyond = (1 << (digits - 1)) + stream.number(1 << (digits - 1)) if digits else 0
            symbols[place] += sign * beyond

    def sure(self, m: int, k: int, share: int) -> bool:
        inside = min(max(m, -15), 15)
        width = self.d[k][16 - inside + 256] - self.d[k][-16 - inside + 256]
        return abs(m) < 16 and (width * (2**24 - share) >> 24) + share >= 2**24 - 2**14

    def symbols(self, payload: bytes, width: int, height: int) -> tuple[Any, Any]:
        stream, rows, columns = Stream(payload), -(-height // 32), -(-width // 32)
        size = rows, columns
        coarse = self.hierarchy(stream, size) if self.later else self.level(stream, "coarse", size, None)
        spread = activated(self.product("prior.spread", np.clip(coarse, -63, 63)))
        hints = activated(self.product("prior.hints", spread))
        channels = len(hints) // 4
        hints = hints.reshape(channels, 2, 2, rows, columns).transpose(0, 3, 1, 4, 2)
        return coarse, self.level(stream, "fine", (2 * rows, 2 * columns), hints.reshape(channels, 2 * rows, -1))


def activated(values: Any) -> Any:
    return np.clip(rounded(values, 25), 0, 255)
