"""How probably a cell is inside: mask coder 2's network over a cell's context, in integers.

The network of :mod:`.network`, trained by :mod:`sedic.training.masks.network`, reads a context of :mod:`.context`; its
output picks one of the models that the coder writes and reads under. :func:`bits` adds up what they would cost.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..coder import WHOLE, exact_bit_model, load_table
from .context import SIZE, distinct, packed_contexts
from .grid import to_grid
from .lattice import Canvas
from .network import Network

LOGIT_UNIT = 1 << 11  # the network's outputs in 1/2¹⁶ become steps of 1/32
COST_UNIT = 256


def bits(canvas: Canvas, cells: np.ndarray, cell: int) -> float:
    """What the next object's cells would cost, nearly.

    Args:
        canvas: what earlier objects took.
        cells: (rows, columns) bool.
        cell: their side in units.
    """
    taken = to_grid(canvas.taken, cell)
    index, _ = indices(cells, taken, canvas.number)
    return int(costs()[index, cells[~taken].view(np.uint8)].sum()) / COST_UNIT


def indices(cells: np.ndarray, taken: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of :func:`models` each free cell has, in turn, where all are known; and which cells have one context.

    Args:
        cells: (rows, columns) bool.
        taken: (rows, columns) bool, cells of earlier objects.
        number: how many objects there were.

    Returns:
        (n,) integers each; equal ones in the second are equal contexts.
    """
    packed = packed_contexts(cells, taken, number)
    if not len(packed):
        return np.zeros(0, int), np.zeros(0, int)
    first, place = distinct(packed)
    different = np.unpackbits(packed[first], axis=-1, count=SIZE)
    return logit_index(network()(different)[:, 0])[place], place


@lru_cache(maxsize=1)
def network() -> Network:
    """Gives a logit for each context."""
    return Network(load_table("mask2"), "cell")


@lru_cache(maxsize=1)
def _ones() -> np.ndarray:
    """Probability of 1 in 1/2²⁴ for each step of 1/32 of the logit, from the least to the greatest."""
    return load_table("mask2")["ones"].astype(np.int64)


def logit_index(output: Any) -> Any:
    """Which of :func:`models` an output, or an array of them, picks."""
    half = len(_ones()) // 2
    return np.clip(np.floor(output / LOGIT_UNIT + 0.5), -half, half).astype(int) + half


@lru_cache(maxsize=1)
def widths() -> np.ndarray:
    """The intervals of 0 and 1 under each of :func:`models`, (steps, 2) int64, as ``Encoder.symbols`` takes them."""
    return np.stack([WHOLE - _ones(), _ones()], axis=-1)


@lru_cache(maxsize=1)
def models() -> list[Any]:
    """The coder's models, from surely outside to surely inside."""
    return [exact_bit_model(ones) for ones in _ones().tolist()]


@lru_cache(maxsize=1)
def costs() -> np.ndarray:
    """What a cell 0 or 1 costs under each model, in 1/256 bit, (steps, 2) integers."""
    return load_table("mask2")["costs"]
