"""How probably a cell is inside: mask coder 2's network over a cell's context, in integers.

The network of :mod:`.network`, trained by :mod:`sedic.training.masks.network`, reads a context of :mod:`.context`; its
output picks one of the models that the coder writes and reads under. :func:`bits` adds up what they would cost.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..coder import exact_bit_model, load_table
from .context import SIZE, contexts, fixed_contexts
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
    free = ~to_grid(canvas.taken, cell)
    if not free.any():
        return 0.0
    seen = contexts(cells, fixed_contexts(~free, canvas.number))[free]
    packed = np.packbits(seen, axis=-1)
    rows, place = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_inverse=True)
    different = np.unpackbits(rows.view(np.uint8).reshape(len(rows), -1), axis=-1, count=SIZE)
    index = logit_index(network()(different)[:, 0])[place]
    return int(_costs()[index, cells[free].astype(int)].sum()) / COST_UNIT


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
def models() -> list[Any]:
    """The coder's models, from surely outside to surely inside."""
    return [exact_bit_model(ones) for ones in _ones().tolist()]


@lru_cache(maxsize=1)
def _costs() -> np.ndarray:
    """What a cell 0 or 1 costs under each model, in 1/256 bit, (steps, 2) integers."""
    return load_table("mask2")["costs"]
