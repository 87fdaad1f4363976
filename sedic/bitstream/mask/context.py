"""What mask coder 2 knows of a cell before it is coded: its context, as answers 0 or 1.

Cells coded before it around it; cells that earlier objects took, all around it; how near the picture's edges are;
and of the rows above, whether and how much is inside. A reader meets them one after the other; :func:`contexts` gives
those of a whole grid at once, for the encoder's choices and for training.
"""

from __future__ import annotations

import numpy as np

MARGIN = 9  # cells that a context reaches beyond its own
# (rows down, columns right) of cells coded before.
CODED = np.array(
    [(0, -d) for d in range(1, 10)]
    + [(-1, d) for d in range(-8, 9)]
    + [(-2, d) for d in range(-8, 9)]
    + [(-3, d) for d in range(-6, 7)]
    + [(-4, d) for d in range(-5, 6)]
    + [(-5, d) for d in range(-4, 5)]
    + [(-6, d) for d in range(-3, 4)]
    + [(-7, d) for d in (-2, 0, 2)]
    + [(-8, 0), (-9, 0)]
)
# (rows down, columns right) of cells that may be taken.
TAKEN = np.array(
    [(y, x) for y in range(-3, 4) for x in range(-4, 5) if y or x]
    + [(y, 0) for y in (-6, -5, -4, 4, 5, 6)]
    + [(0, x) for x in (-7, -6, -5, 5, 6, 7)]
)
EDGE_STEPS = 5  # cells from an edge that are told apart
LONG_SIDES = (24, 36, 56, 90)  # cells of the longer side
AREAS = (8, 32, 128, 512, 2048)  # inside in the rows above, of 6,144
FIXED = len(TAKEN) + 4 * EDGE_STEPS + 3 + len(LONG_SIDES)
BY_ROW = 2 + 7 + len(AREAS)
SIZE = len(CODED) + FIXED + BY_ROW


def fixed_contexts(taken: np.ndarray, number: int) -> np.ndarray:
    """What is known before any cell of an object is coded.

    Args:
        taken: (rows, columns) bool, cells of earlier objects.
        number: how many objects there were.

    Returns:
        (rows, columns, FIXED) uint8.
    """
    rows, columns = taken.shape
    result = np.zeros((rows, columns, FIXED), np.uint8)
    padded = np.pad(taken, MARGIN)
    for i, (y, x) in enumerate(TAKEN):
        result[..., i] = padded[MARGIN + y : MARGIN + y + rows, MARGIN + x : MARGIN + x + columns]
    i = len(TAKEN)
    for step in range(EDGE_STEPS):
        if step < columns:
            result[:, step, i] = result[:, columns - 1 - step, i + 1] = 1
        if step < rows:
            result[step, :, i + 2] = result[rows - 1 - step, :, i + 3] = 1
        i += 4
    whole = [taken.sum() * 4 >= taken.size, number >= 1, number >= 2, *(max(rows, columns) >= s for s in LONG_SIDES)]
    result[..., i:] = whole
    return result


def row_context(row: int, rows: int, columns: int, above: bool, area: int) -> list[bool]:
    """What is known when a row begins.

    Args:
        row: its number.
        rows: of the grid.
        columns: of the grid.
        above: whether the row above has cells inside.
        area: cells inside in all rows above.

    Returns:
        (BY_ROW,) bool.
    """
    position = [row * 8 >= part * rows for part in range(1, 8)]
    return [above, area > 0, *position, *(area * 6144 >= a * rows * columns for a in AREAS)]


def row_contexts(cells: np.ndarray) -> np.ndarray:
    """:func:`row_context` of all rows of a grid, (rows, BY_ROW) uint8."""
    rows, columns = cells.shape
    inside = cells.sum(axis=1)
    area = np.concatenate([[0], inside.cumsum()]).tolist()
    above = [0, *inside.tolist()]
    return np.array([row_context(r, rows, columns, above[r] > 0, area[r]) for r in range(rows)], np.uint8)


def contexts(cells: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """All cells' contexts: (rows, columns) bool and :func:`fixed_contexts` -> (rows, columns, SIZE) uint8."""
    rows, columns = cells.shape
    padded = np.pad(cells, MARGIN)
    coded = [padded[MARGIN + y : MARGIN + y + rows, MARGIN + x : MARGIN + x + columns] for y, x in CODED]
    by_row = np.broadcast_to(row_contexts(cells)[:, None], (rows, columns, BY_ROW))
    return np.concatenate([np.stack(coded, axis=-1), fixed, by_row], axis=-1, dtype=np.uint8, casting="unsafe")
