"""What the symbols' probabilities are, computed in integers: the same on every machine.

Small convolutional networks foretell mean and scale of every symbol from those coded before it. Weights are 8-bit
integers with a scale a row, activations integers of 8 bits; matrix products run in float32 over whole numbers whose
sums stay below 2²⁴, which float32 holds exactly in any order of summation.

Both latents are coded in four passes. Positions are of four phases, by the parity of row and column, channels of four
groups, by their number modulo 4; pass t codes, at positions of phase p, group p XOR ``TURNS[t]``: every pass sees a
quarter more of each position and of its neighbours (Li, Li and Lu 2023).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

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
CHUNK = 4096  # positions of one matrix product: bounds memory
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
    """

    level: str
    channels: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    means: np.ndarray
    scales: np.ndarray

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index of the symbols in a latent (channels, rows, columns)."""
        return self.channels, self.rows, self.columns


class Prior:
    """The networks of a table, and the walk through the passes that writer and reader share."""

    def __init__(self, table: dict[str, np.ndarray]) -> None:
        """Takes the arrays of :func:`sedic.training.reference.integers.integers`.

        Raises:
            ValueError: sums could leave what float32 holds exactly.
        """
        self.channels = {level: table[f"{level}0.last.weight"].shape[0] // 2 for level in MOST_SYMBOL}
        self._products = {
            name.removesuffix(".weight"): _Product(table, name.removesuffix(".weight"))
            for name in table
            if name.endswith(".weight")
        }
        self._knots = {name: table[name].astype(np.int64) for name in table if name.endswith(".knots")}

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
        coarse = yield from self._level("coarse", size, quality, None)
        fine = yield from self._level("fine", (2 * size[0], 2 * size[1]), quality, self._hints(coarse))
        return coarse, fine

    def _level(
        self, level: str, size: tuple[int, int], quality: int, hints: np.ndarray | None
    ) -> Generator[Expected, np.ndarray, np.ndarray]:
        channels = self.channels[level]
        symbols = np.zeros((channels, *size), np.int32)
        for number, turn in enumerate(TURNS):
            seen = np.clip(symbols, -MOST_SYMBOL[level], MOST_SYMBOL[level]).astype(np.float32)
            means, scales = self._network(f"{level}{number}", seen.transpose(1, 2, 0), hints, quality)
            phases = [_phase(channels, size, phase, turn ^ phase) for phase in range(4)]
            chosen, rows, columns = (np.concatenate(axis) for axis in zip(*phases, strict=True))
            inner = rows, columns, chosen
            expected = Expected(level, chosen, rows, columns, means[inner] << MEAN_SHIFT[level], scales[inner])
            symbols[expected.places] = yield expected
        return symbols

    def _network(
        self, name: str, seen: np.ndarray, hints: np.ndarray | None, quality: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means and scales, (rows, columns, channels) int64, of ``seen`` (rows, columns, channels) float32."""
        product = self._products
        first = product[f"{name}.first"](seen) + self._at(f"{name}.first.knots", quality)
        if hints is not None:
            first += product[f"{name}.first_hints"](hints)
        hidden = product[f"{name}.second"](_activations(first))
        last = product[f"{name}.last"](_activations(hidden)) + self._at(f"{name}.last.knots", quality)
        means, scales = np.split(last, 2, axis=-1)
        if f"{name}.linear" in product:
            means = means + product[f"{name}.linear"](seen)
        scales = _rounded(scales, FACTOR_BITS - SCALE_BITS) - LEAST_SCALE
        return _rounded(means, FACTOR_BITS - MEAN_BITS), np.clip(scales, 0, SCALES - 1)

    def _hints(self, coarse: np.ndarray) -> np.ndarray:
        """What the coarse symbols say of the fine ones: (2·rows, 2·columns, hints) float32 of whole numbers."""
        most = MOST_SYMBOL["coarse"]
        seen = np.clip(coarse, -most, most).astype(np.float32).transpose(1, 2, 0)
        spread = _activations(self._products["spread"](seen))
        hints = _activations(self._products["hints"](spread))
        rows, columns, channels = hints.shape
        hints = hints.reshape(rows, columns, channels // 4, 2, 2)  # as PyTorch's pixel_shuffle orders them
        return hints.transpose(0, 3, 1, 4, 2).reshape(2 * rows, 2 * columns, channels // 4)

    def _at(self, name: str, quality: int) -> np.ndarray:
        knots = self._knots[name]
        low = min(quality // SUBSTEPS, len(knots) - 2)
        share = quality - low * SUBSTEPS
        between = knots[low] * (SUBSTEPS - share) + knots[low + 1] * share
        return between << (FACTOR_BITS - BIAS_BITS - SUBSTEPS.bit_length() + 1)


class _Product:
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

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(rows, columns, inputs) float32 of whole numbers -> (rows, columns, outputs) int64."""
        rows, columns, inputs = values.shape
        margin = self._side // 2
        padded = np.pad(values, ((margin, margin), (margin, margin), (0, 0)))
        result = np.empty((rows, columns, len(self._factors)), np.int64)
        strip = max(1, CHUNK // columns)
        for top in range(0, rows, strip):
            end = min(rows, top + strip)
            shifted = [padded[top + y : end + y, x : x + columns] for y in range(self._side) for x in range(self._side)]
            sums = np.concatenate(shifted, -1).reshape(-1, len(self._matrix)) @ self._matrix
            result[top:end] = sums.reshape(end - top, columns, -1).astype(np.int64) * self._factors + self._bias
        return result


def most_input(name: str) -> int:
    """The largest magnitude that enters the product called ``name``."""
    if name.endswith((".first", ".linear")) or name == "spread":
        return MOST_SYMBOL["fine" if name.startswith("fine") else "coarse"]
    return MOST_ACTIVATION


def _activations(values: np.ndarray) -> np.ndarray:
    rounded = _rounded(values, FACTOR_BITS - ACTIVATION_BITS)
    return np.clip(rounded, 0, MOST_ACTIVATION).astype(np.float32)


def _rounded(values: np.ndarray, dropped: int) -> np.ndarray:
    return (values + (1 << (dropped - 1))) >> dropped


def _phase(channels: int, size: tuple[int, int], phase: int, group: int) -> tuple[np.ndarray, ...]:
    """Channels, rows and columns, (n,) each, of a group's symbols at the positions of a phase."""
    row, column = PHASES[phase]
    grid = np.meshgrid(
        np.arange(group, channels, 4), np.arange(row, size[0], 2), np.arange(column, size[1], 2), indexing="ij"
    )
    return tuple(axis.ravel() for axis in grid)
