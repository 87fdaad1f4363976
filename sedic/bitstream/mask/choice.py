"""Which grid the masks of a picture get: cells of the size whose bits are worth it, the same for all objects.

Grids of one size fit each other: what one object leaves, the next one takes, and nothing of an outline is told twice.
Only a writer chooses; a reader takes the size that the file says.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from ...progress import track
from .cell_model import bits
from .flips import improved
from .grid import MaskChoice, counted, to_grid
from .lattice import REACH, Canvas, cells_of, draw

MOST_WORK_CELLS = 1 << 16  # of all objects together, so that a reader's work is bounded
PATIENCE = 2  # finer grids whose bits are still counted behind the best


def plan(canvas: Canvas, masks: Sequence[np.ndarray | None], choice: MaskChoice) -> list[int]:
    """The size of cells, in units, for each of the next objects.

    A mask that was drawn from cells keeps their size, so that a file which is unpacked and packed again keeps its
    masks; all others get the size at which bits and loss together are least.

    Args:
        canvas: what the objects before took.
        masks: (H, W) bool units, disjoint; None for an object without one.
        choice: price, or size.
    """
    most = MOST_WORK_CELLS // max(1, len(masks))
    sizes = [s for s in canvas.lattice.sizes() if np.prod(canvas.lattice.grid_shape(s)) <= most]
    if choice.cell is not None:
        unit = canvas.lattice.unit
        return [min(sizes, key=lambda size: abs(size * unit - (choice.cell or 0)))] * len(masks)
    own: dict[int, int] = {}
    best, chosen, waiting = np.inf, sizes[0], PATIENCE
    for size in track(sizes[::-1], "masks, choice of grids"):
        trial, spent, loss = copy.copy(canvas), 0.0, 0.0
        for j, mask in enumerate(masks):
            if mask is None or not mask.any():
                continue
            cells = cells_of(mask, trial.taken, size)
            if waiting >= 0:
                drawn = draw(cells, trial.taken, size)
                same = bool((drawn == mask).all())
                spent += bits(trial, cells, size)
                loss += _lost(drawn, mask)
            else:
                same = _drawn_from(cells, mask, trial.taken, size)
            trial.take(mask)  # nearly what will be drawn, and of masks drawn from cells the very same
            if same:
                own.setdefault(j, size)
        cost = spent + choice.price * 100 * loss
        if waiting >= 0 and cost < best:
            best, chosen, waiting = cost, size, PATIENCE
        else:
            waiting -= 1
    return [own.get(j, chosen) for j in range(len(masks))]


def _lost(drawn: np.ndarray, units: np.ndarray) -> float:
    """1 − intersection over union of two bool arrays."""
    return 1 - np.count_nonzero(drawn & units) / np.count_nonzero(drawn | units)


def _drawn_from(cells: np.ndarray, mask: np.ndarray, taken: np.ndarray, size: int) -> bool:
    """Whether these cells are drawn as ``mask``; one row of them nearly always says that they are not."""
    if not cells.any():
        return False
    inside = np.flatnonzero(cells.any(axis=1))
    middle = int(inside[len(inside) // 2])
    first = max(0, middle - REACH - 1)  # what is drawn of a row depends on the rows so far around it
    near, part = slice(first, middle + REACH + 2), slice(first * size, (middle + REACH + 2) * size)
    row = slice((middle - first) * size, (middle - first + 1) * size)
    if (draw(cells[near], taken[part], size)[row] != mask[part][row]).any():
        return False
    return bool((draw(cells, taken, size) == mask).all())


def cells_for(canvas: Canvas, units: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """The cells of a mask, of ``size`` or, for a mask too small for these, of a finer one.

    Args:
        canvas: what the objects before took.
        units: (H, W) bool, inside and not taken.
        size: of cells in units.

    Returns:
        (rows, columns) bool and the cells' size; no cell only where no unit is inside, or earlier objects took nearly
        all around.
    """
    finer = [s for s in reversed(canvas.lattice.sizes()) if s <= size]
    for cell in finer:
        cells = cells_of(units, canvas.taken, cell)
        if cells.any():
            return cells, cell
    free = ~to_grid(canvas.taken, cell)
    inside = counted(units, cell)[0] * free
    chosen = np.zeros_like(free)
    chosen.flat[inside.argmax()] = inside.any()
    return chosen, cell


def smoothed(canvas: Canvas, units: np.ndarray, cells: np.ndarray, size: int, price: float) -> np.ndarray:
    """Cells that cost less with what they lose counted: :func:`.flips.improved`.

    A mask that was drawn from these cells keeps them, as in :func:`plan`.

    Args:
        canvas: what the objects before took.
        units: (H, W) bool, what the cells stand for.
        cells: (rows, columns) bool, as :func:`cells_for` gives them.
        size: of cells in units.
        price: as in :class:`.grid.MaskChoice`.

    Returns:
        (rows, columns) bool, at least one of them 1.
    """
    if (draw(cells, canvas.taken, size) == units).all():
        return cells

    def cost(candidate: np.ndarray) -> float:
        lost = _lost(draw(candidate, canvas.taken, size), units)
        return bits(canvas, candidate, size) + price * 100 * lost

    return improved(canvas, units, cells, size, cost, price * 100)
