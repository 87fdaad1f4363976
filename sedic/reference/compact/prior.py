"""What the symbols' probabilities are, computed in integers: the same on every machine.

Small convolutional networks foretell mean and scale of every symbol from those coded before it. Weights are 8-bit
integers with a scale a row, activations integers of 8 bits; matrix products run in float32 over whole numbers whose
sums stay below 2²⁴, which float32 holds exactly in any order of summation.

Both latents are coded in four passes (the coarse one of ``compact`` otherwise: :mod:`.hierarchy`). Positions are of
four phases, by the parity of row and column, channels of four groups, by their number modulo 4; pass t codes, at
positions of phase p, group p XOR ``TURNS[t]``: every pass sees a quarter more of each position and of its neighbours
(Li, Li and Lu 2023).
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

TURNS = (0, 3, 1, 2)
SUBSTEPS = 8  # qualities from one that was trained to the next
# Fixed point: how many bits stand behind the point.
ACTIVATION_BITS, MOST_ACTIVATION = 5, 255
MEAN_BITS = 5
SCALE_BITS, LEAST_SCALE, SCALES = 3, -38, 71  # logarithms to base 2 of scales, from −4.75 to 4
FACTOR_BITS, BIAS_BITS = 30, 16
MOST_SYMBOL = {"coarse": 63, "fine": 31}  # what a network sees of a symbol
MEAN_SHIFT = {"coarse": 2, "fine": 0}  # the coarse networks think in units of 4
EXACT = 1 << 24
CHUNK, STRIP = 4096, 1 << 14  # positions of one matrix product, and of all networks at once: bound the memory
PHASES = tuple((row, column) for row in (0, 1) for column in (0, 1))


@dataclass(frozen=True)
class Expected:
    """One pass's symbols: where they stand and what is known of them.

    Attributes:
        level: ``coarse`` or ``fine``.
        channels: (n,) of each symbol.
        rows: (n,) likewise.
        columns: (n,) likewise.
        means: (n,) int64, in 2⁻⁵.
        scales: (n,) int64, index of the logistic distribution's scale.
        zeros: (n,) int64, index of the share of zeros beside it; None where there are none.
    """

    level: str
    channels: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray | None = None

    def of(self, part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """What is known of some of the symbols, as :class:`.distribution.Distribution` takes it."""
        return self.means[part], self.scales[part], None if self.zeros is None else self.zeros[part]

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index of the symbols in a latent (channels, rows, columns)."""
        return self.channels, self.rows, self.columns


class Coarse(Protocol):
    """An entropy model of the coarse symbols alone."""

    def walk(self, size: tuple[int, int], quality: int) -> Generator[Expected, np.ndarray, np.ndarray]:
        """As :meth:`Prior.walk`, but returns the coarse symbols."""
        ...


class Prior:
    """The networks of a table, and the walk through the passes that writer and reader share."""

    def __init__(self, table: dict[str, np.ndarray]) -> None:
        """Takes the arrays of :func:`sedic.training.reference.integers.integers`.

        Raises:
            ValueError: sums could leave what float32 holds exactly.
        """
        self._coarse: Coarse | None = None
        self.channels = {level: table[f"{level}0.last.weight"].shape[0] // 2 for level in MOST_SYMBOL}
        self._products = {
            name.removesuffix(".weight"): Product(table, name.removesuffix(".weight"))
            for name in table
            if name.endswith(".weight")
        }
        self._last = {
            (f"{level}{number}", group): self._products[f"{level}{number}.last"].only(_outputs(channels, group))
            for level, channels in self.channels.items()
            for number in range(len(TURNS))
            for group in range(4)
        }
        self._knots = {name: table[name].astype(np.int64) for name in table if name.endswith(".knots")}

    def with_coarse(self, coarse: Coarse) -> Prior:
        """The same, with another entropy model of the coarse symbols."""
        other = copy.copy(self)
        other._coarse = coarse
        return other

    def walk(
        self, size: tuple[int, int], quality: int
    ) -> Generator[Expected, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Yields the passes in turn, and is sent their symbols, (n,) integers.

        Args:
            size: rows and columns of the coarse latent.
            quality: in steps of 1/8 of those that were trained.

        Returns:
            The coarse symbols, (channels, rows, columns) int32, and the fine ones, with twice the rows and columns.
        """
        walk = self._coarse.walk(size, quality) if self._coarse else self._level("coarse", size, quality, None)
        coarse = yield from walk
        fine = yield from self._level("fine", (2 * size[0], 2 * size[1]), quality, self._hints(coarse))
        return coarse, fine

    def _level(
        self, level: str, size: tuple[int, int], quality: int, hints: np.ndarray | None
    ) -> Generator[Expected, np.ndarray, np.ndarray]:
        symbols = np.zeros((self.channels[level], *size), np.int32)
        for number, turn in enumerate(TURNS):
            groups = [turn ^ phase for phase in range(4)]
            means, scales = self._network(f"{level}{number}", symbols, hints, quality, groups)
            phases = [_phase(len(symbols), size, phase, group) for phase, group in enumerate(groups)]
            chosen, rows, columns = (np.concatenate(axis) for axis in zip(*phases, strict=True))
            expected = Expected(level, chosen, rows, columns, means << MEAN_SHIFT[level], scales)
            symbols[expected.places] = yield expected
        return symbols

    def _network(
        self, name: str, symbols: np.ndarray, hints: np.ndarray | None, quality: int, groups: list[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means and scales, (n,) int64 each, of a pass's symbols, phase by phase in the order of :func:`_phase`.

        Args:
            name: level and number of the pass.
            symbols: (channels, rows, columns) int32, 0 where none is known.
            hints: (rows, columns, hints) float32 of whole numbers, or None.
            quality: in steps of 1/8.
            groups: of channels that are coded, for each phase.
        """
        channels, rows, columns = symbols.shape
        most = MOST_SYMBOL[name[:-1]]
        seen = np.clip(symbols, -most, most).transpose(1, 2, 0).astype(np.float32, order="C")
        found = [np.empty((2, channels // 4, -(-(rows - row) // 2), -(-(columns - column) // 2)), np.int64)
                 for row, column in PHASES]  # fmt: skip
        # Of each phase, which last product it takes, and what the quality adds to that.
        lasts = [(self._last[name, group], self._at(f"{name}.last.knots", quality)[_outputs(channels, group)])
                 for group in groups]  # fmt: skip
        height = max(2, STRIP // columns & ~1)  # even: then each strip's first position has the picture's first phase
        for top in range(0, rows, height):
            end = min(rows, top + height)
            hidden, moved = self._hidden(name, seen, hints, quality, (top, end))
            for values, (row, column), group, (product, added) in zip(found, PHASES, groups, lasts, strict=True):
                last = product(hidden[row::2, column::2]) + added
                part = values[:, :, top // 2 : -(-(end - row) // 2)]
                part[...] = last.reshape(*last.shape[:2], 2, channels // 4).transpose(2, 3, 0, 1)
                if moved is not None:
                    part[0] += moved[row::2, column::2, group::4].transpose(2, 0, 1)
        means, scales = (np.concatenate([values[kind].ravel() for values in found]) for kind in range(2))
        return means_and_scales(means, scales)

    def _hidden(
        self, name: str, seen: np.ndarray, hints: np.ndarray | None, quality: int, strip: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Activations before the last product in the rows of a strip, and what the linear one adds to the means."""
        product, (top, end) = self._products, strip
        above, below = max(0, top - 1), min(len(seen), end + 1)

        def of_known(kind: str, start: int, end: int) -> np.ndarray:
            if name.endswith("0"):  # nothing is known before the first pass
                return product[f"{name}.{kind}"].nothing((end - start, seen.shape[1]))
            return product[f"{name}.{kind}"].inside(_rows(seen, start - 1, end + 1))

        first = of_known("first", above, below) + self._at(f"{name}.first.knots", quality)
        if hints is not None:
            first += product[f"{name}.first_hints"].inside(_rows(hints, above - 1, below + 1))
        # Outside the picture there are no activations, which is not what the first product makes of zeros.
        around = _rows(activations(first), top - 1 - above, end + 1 - above)
        hidden = activations(product[f"{name}.second"].inside(around))
        return hidden, of_known("linear", top, end) if f"{name}.linear" in product else None

    def _hints(self, coarse: np.ndarray) -> np.ndarray:
        """What the coarse symbols say of the fine ones: (2·rows, 2·columns, hints) float32 of whole numbers."""
        most = MOST_SYMBOL["coarse"]
        seen = np.clip(coarse, -most, most).astype(np.float32).transpose(1, 2, 0)
        spread = activations(self._products["spread"](seen))
        hints = activations(self._products["hints"](spread))
        rows, columns, channels = hints.shape
        hints = hints.reshape(rows, columns, channels // 4, 2, 2)  # as PyTorch's pixel_shuffle orders them
        return hints.transpose(0, 3, 1, 4, 2).reshape(2 * rows, 2 * columns, channels // 4)

    def _at(self, name: str, quality: int) -> np.ndarray:
        return at_knots(self._knots[name], quality)


class Product:
    """A convolution with zeros around the picture, in whole numbers; its result has 30 bits behind the point."""

    def __init__(self, table: dict[str, np.ndarray], name: str) -> None:
        weight = table[f"{name}.weight"].astype(np.float32)
        outputs, inputs, self._side, _ = weight.shape
        # outputs, inputs, side, side -> side·side·inputs, outputs
        self._matrix = np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, outputs))
        self._factors = table[f"{name}.factor"].astype(np.int64)
        self._bias = table[f"{name}.bias"].astype(np.int64) << (FACTOR_BITS - BIAS_BITS)
        if np.abs(self._matrix).sum(0).max() * most_input(name) >= EXACT:
            raise ValueError(f"The sums of {name} could reach 2²⁴; make its weights again with a larger scale.")

    @property
    def inputs(self) -> int:
        """How many values make a position's output."""
        return len(self._matrix)

    def only(self, outputs: np.ndarray) -> Product:
        """The same product with some of its outputs."""
        part = copy.copy(self)
        part._matrix = np.ascontiguousarray(self._matrix[:, outputs])
        part._factors, part._bias = self._factors[outputs], self._bias[outputs]
        return part

    def nothing(self, size: tuple[int, int]) -> np.ndarray:
        """What it makes of zeros, (rows, columns, outputs) int64."""
        return np.tile(self._bias, (*size, 1))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(rows, columns, inputs) float32 of whole numbers -> (rows, columns, outputs) int64."""
        margin = self._side // 2
        return self.inside(_rows(values, -margin, len(values) + margin))

    def inside(self, values: np.ndarray) -> np.ndarray:
        """Of a strip's rows and their neighbours', as many as the convolution sees, the rows of the strip alone."""
        margin = self._side // 2
        rows, columns = len(values) - 2 * margin, values.shape[1]
        padded = np.pad(values, ((0, 0), (margin, margin), (0, 0)))
        result = np.empty((rows, columns, len(self._factors)), np.int64)
        strip = max(1, CHUNK // max(1, columns))
        for top in range(0, rows, strip):
            end = min(rows, top + strip)
            shifted = [padded[top + y : end + y, x : x + columns] for y in range(self._side) for x in range(self._side)]
            part = result[top:end]
            self.of(np.concatenate(shifted, -1).reshape(-1, self.inputs), part.reshape(-1, len(self._factors)))
        return result

    def of(self, values: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """(n, inputs) float32 of whole numbers -> (n, outputs) int64, in ``out`` where that is given."""
        out = np.multiply(values @ self._matrix, self._factors, out=out, dtype=np.int64, casting="unsafe")
        out += self._bias
        return out


def most_input(name: str) -> int:
    """The largest magnitude that enters the product called ``name``."""
    if name.endswith((".first", ".linear", ".around", ".own")) or name == "spread":
        return MOST_SYMBOL["fine" if name.startswith("fine") else "coarse"]
    return MOST_ACTIVATION


def _rows(values: np.ndarray, start: int, end: int) -> np.ndarray:
    """Rows from ``start`` to ``end`` of (rows, columns, channels), zeros where there are none."""
    missing = max(0, -start), max(0, end - len(values))
    return np.pad(values[max(0, start) : end], (missing, (0, 0), (0, 0))) if any(missing) else values[start:end]


def _outputs(channels: int, group: int) -> np.ndarray:
    """Where a group's means and scales stand among a last product's outputs."""
    return np.concatenate([np.arange(group, channels, 4), np.arange(channels + group, 2 * channels, 4)])


def at_knots(knots: np.ndarray, quality: int) -> np.ndarray:
    """What depends on the quality, (channels,) int64 with 30 bits behind the point: linear between the knots."""
    low = min(quality // SUBSTEPS, len(knots) - 2)
    share = quality - low * SUBSTEPS
    between = knots[low] * (SUBSTEPS - share) + knots[low + 1] * share
    return between << (FACTOR_BITS - BIAS_BITS - SUBSTEPS.bit_length() + 1)


def means_and_scales(means: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As :class:`Expected` has them, from sums with 30 bits behind the point, which are used up."""
    scales = dropped(scales, FACTOR_BITS - SCALE_BITS) - LEAST_SCALE
    return dropped(means, FACTOR_BITS - MEAN_BITS), np.clip(scales, 0, SCALES - 1)


def activations(values: np.ndarray) -> np.ndarray:
    """Whole numbers as float32 of int64 sums, which are used up."""
    rounded = dropped(values, FACTOR_BITS - ACTIVATION_BITS)
    return np.clip(rounded, 0, MOST_ACTIVATION, out=rounded).astype(np.float32)


def dropped(values: np.ndarray, bits: int) -> np.ndarray:
    """``values`` without their last bits, in their place."""
    values += 1 << (bits - 1)
    values >>= bits
    return values


def _phase(channels: int, size: tuple[int, int], phase: int, group: int) -> tuple[np.ndarray, ...]:
    """Channels, rows and columns, (n,) each, of a group's symbols at the positions of a phase."""
    row, column = PHASES[phase]
    grid = np.meshgrid(
        np.arange(group, channels, 4), np.arange(row, size[0], 2), np.arange(column, size[1], 2), indexing="ij"
    )
    return tuple(axis.ravel() for axis in grid)
