"""The language model of text coder 2: a recurrent network that computes in integers.

One layer of long short-term memory (Hochreiter and Schmidhuber 1997) reads piece after piece and says how likely
each next one is. Weights are 8-bit integers with a scale a row, what they are multiplied with are integers of 9 bits
at most; the functions are tables. Matrix products run in float32 over whole numbers whose sums stay below 2²⁴,
which float32 holds exactly in any order, so that every machine, library and number of threads computes the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Fixed point: how many bits stand behind the point.
CELL_BITS = 14  # also of the functions' values
GATE_BITS = 10
OUTPUT_BITS = 7  # within ±1: 8 bits with the sign
PROJECTED_BITS = 5  # within ±8: 9 bits
LOGIT_BITS = 8
SCALE_BITS = 20

GATE_LIMIT = 8 << GATE_BITS  # σ and tanh are flat beyond ±8
PROJECTED_LIMIT = (8 << PROJECTED_BITS) - 1
BLOCK = 64  # rows of a matrix product


@dataclass(frozen=True)
class State:
    """What the network remembers: ``cell`` in 2⁻¹⁴ and ``output`` in 2⁻⁷, each (H,) int64."""

    cell: np.ndarray
    output: np.ndarray


@dataclass(frozen=True)
class Expected:
    """What comes next: ``projected``, (E,) int64 in 2⁻⁵, and ``logits``, (V,) int64, logarithms of odds in 2⁻⁸."""

    projected: np.ndarray
    logits: np.ndarray


class Network:
    """The weights of a table, and the two things that are done with them."""

    def __init__(self, table: dict[str, np.ndarray]) -> None:
        """Takes the arrays that :func:`sedic.training.text.quantise.quantised` makes.

        Args:
            table: ``embedding`` (V, E), ``input`` (4H, E), ``recurrent`` (4H, H), ``projection`` (E, H), all int8
                within ±127, H ≤ 1024, E ≤ 512, rows divisible by 64, with ``*_scale``, (rows,) int32 in 2⁻²⁰;
                ``gate_bias`` (4H,) int32 in 2⁻¹⁰, ``projection_bias`` (E,) int32 in 2⁻⁵, ``logit_bias`` (V,) int32
                in 2⁻⁸; ``sigmoid`` and ``tanh`` (16·2¹⁰ + 1,) int16 in 2⁻¹⁴ over −8 … 8. Gates stand in
                PyTorch's order: input, forget, cell, output.
        """
        self._weights = {
            name: table[name].astype(np.float32) for name in ("embedding", "input", "recurrent", "projection")
        }
        self._scales = {name: table[f"{name}_scale"].astype(np.int64) for name in self._weights}
        self._gate_bias, self._projection_bias, self._logit_bias = (
            table[f"{name}_bias"].astype(np.int64) for name in ("gate", "projection", "logit")
        )
        self._sigmoid, self._tanh = table["sigmoid"].astype(np.int64), table["tanh"].astype(np.int64)

    def start(self) -> State:
        """Nothing read yet."""
        zeros = np.zeros(self._weights["recurrent"].shape[1], np.int64)
        return State(zeros, zeros)

    def read(self, state: State, piece: int) -> State:
        """The state after one more piece, 0 … V − 1."""
        return self._step(state, self._brought(piece))

    def read_all(self, state: State, pieces: Sequence[int]) -> list[State]:
        """The state after each of several pieces; quicker, as what they bring is multiplied at once."""
        states = list[State]()
        for brought in np.ascontiguousarray(self._brought(pieces).T):
            state = self._step(state, brought)
            states.append(state)
        return states

    def _brought(self, pieces: int | Sequence[int]) -> np.ndarray:
        """What a piece brings to the gates whatever came before, in 2⁻¹⁰, (4H,); of several (4H, n)."""
        # The piece's own scale is brought down to 14 bits, so that the product with the rows' scales fits 64.
        embedded = _product(self._weights["input"], self._weights["embedding"][pieces].T)
        embedded = (embedded * self._scales["embedding"][pieces]) >> (SCALE_BITS - CELL_BITS)
        gates = _rescale(embedded, _beside(self._scales["input"], embedded), CELL_BITS, GATE_BITS)
        return gates + _beside(self._gate_bias, embedded)

    def _step(self, state: State, brought: np.ndarray) -> State:
        gates = brought + self._apply("recurrent", state.output, OUTPUT_BITS, GATE_BITS)
        opened, kept, new, shown = _argument(gates).reshape(4, -1)  # 4H -> 4,H
        opened, kept, shown = self._sigmoid[opened], self._sigmoid[kept], self._sigmoid[shown]
        cell = (kept * state.cell + opened * self._tanh[new]) >> CELL_BITS
        output = shown * self._tanh[_argument(cell >> (CELL_BITS - GATE_BITS))]
        return State(cell, _rounded(output, 2 * CELL_BITS - OUTPUT_BITS))

    def expect(self, state: State) -> Expected:
        """What may come next."""
        return Expected(*self._expect(state.output))

    def expect_all(self, states: Sequence[State]) -> list[Expected]:
        """:meth:`expect` of several states, in a fifth of the time."""
        found = self._expect(np.stack([state.output for state in states], axis=1))
        return [Expected(*both) for both in zip(*(np.ascontiguousarray(values.T) for values in found), strict=True)]

    def _expect(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        projected = self._apply("projection", outputs, OUTPUT_BITS, PROJECTED_BITS)
        projected += _beside(self._projection_bias, outputs)
        projected = np.clip(projected, -PROJECTED_LIMIT, PROJECTED_LIMIT)
        logits = self._apply("embedding", projected, PROJECTED_BITS, LOGIT_BITS)
        return projected, logits + _beside(self._logit_bias, outputs)

    def _apply(self, name: str, activations: np.ndarray, bits: int, kept: int) -> np.ndarray:
        product = _product(self._weights[name], activations.astype(np.float32))
        return _rescale(product, _beside(self._scales[name], activations), bits, kept)


def _beside(rows: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """A value for each row, of every column where there are several: (m,) or (m, 1)."""
    return rows if activations.ndim == 1 else rows[:, None]


def _product(weights: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """``weights @ activations`` of whole float32 numbers, (m, n) and (n, …) -> (m, …) int64; 64 divides m.

    127·128·1024 and 127·255·512 stay below 2²⁴. It goes block by block, each too small for a BLAS to share among
    threads: waiting for a busy second core costs more than it brings.
    """
    product = weights.reshape(-1, BLOCK, weights.shape[1]) @ activations
    return product.reshape(-1, *activations.shape[1:]).astype(np.int64)


def _rescale(values: np.ndarray, scales: np.ndarray, bits: int, kept: int) -> np.ndarray:
    """``values · scales`` of values with ``bits`` bits behind the point, rounded to ``kept`` of them."""
    return _rounded(values * scales, bits + SCALE_BITS - kept)


def _rounded(values: np.ndarray, dropped: int) -> np.ndarray:
    return (values + (1 << (dropped - 1))) >> dropped


def _argument(values: np.ndarray) -> np.ndarray:
    """Where a value in 2⁻¹⁰ stands in the tables of σ and tanh."""
    return np.clip(values, -GATE_LIMIT, GATE_LIMIT) + GATE_LIMIT
