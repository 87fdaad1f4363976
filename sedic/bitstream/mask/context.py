"""What mask coder 2 knows of a cell before it is coded: its context, as answers 0 or 1.

Cells coded before it around it; cells that earlier objects took, all around it; how near the picture's edges are;
and of the rows above, whether and how much is inside. A reader meets them one after the other; :func:`contexts` gives
those of a whole grid at once, for the encoder's choices and for training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

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
MIX = 0x9E3779B97F4A7C15  # an odd number without a pattern


def fixed_planes(taken: np.ndarray, number: int) -> Iterator[np.ndarray | None]:
    """What is known before any cell of an object is coded, an answer after the other.

    Args:
        taken: (rows, columns) bool, cells of earlier objects.
        number: how many objects there were.

    Returns:
        FIXED times bool that (rows, columns) can be broadcast from, or None: 0 everywhere.
    """
    rows, columns = taken.shape
    padded = np.pad(taken, MARGIN) if taken.any() else None
    for y, x in TAKEN.tolist():
        yield None if padded is None else padded[MARGIN + y : MARGIN + y + rows, MARGIN + x : MARGIN + x + columns]
    row, column = np.arange(rows)[:, None], np.arange(columns)[None]
    for step in range(EDGE_STEPS):
        yield column == step
        yield column == columns - 1 - step
        yield row == step
        yield row == rows - 1 - step
    whole = [taken.sum() * 4 >= taken.size, number >= 1, number >= 2, *(max(rows, columns) >= s for s in LONG_SIDES)]
    for known in whole:
        yield np.ones((1, 1), bool) if known else None


def fixed_contexts(taken: np.ndarray, number: int) -> np.ndarray:
    """:func:`fixed_planes` as one array, (rows, columns, FIXED) uint8."""
    planes = [False if plane is None else plane for plane in fixed_planes(taken, number)]
    return np.stack([np.broadcast_to(plane, taken.shape) for plane in planes], -1).astype(np.uint8)


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


def coded_planes(cells: np.ndarray) -> Iterator[np.ndarray]:
    """What is known of a grid's cells, (rows, columns) bool, by those coded before, an answer after the other."""
    rows, columns = cells.shape
    padded = np.pad(cells, MARGIN)
    for y, x in CODED.tolist():
        yield padded[MARGIN + y : MARGIN + y + rows, MARGIN + x : MARGIN + x + columns]


def contexts(cells: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """All cells' contexts: (rows, columns) bool and :func:`fixed_contexts` -> (rows, columns, SIZE) uint8."""
    by_row = np.broadcast_to(row_contexts(cells)[:, None], (*cells.shape, BY_ROW))
    coded = np.stack(list(coded_planes(cells)), axis=-1)
    return np.concatenate([coded, fixed, by_row], axis=-1, dtype=np.uint8, casting="unsafe")


def packed(planes: Iterable[np.ndarray | None], free: np.ndarray) -> np.ndarray:
    """Answers of ``free`` cells, (rows, columns) bool, a bit each as ``np.packbits`` has them: (cells, bytes) uint8.

    Byte by byte over the grid, which is many times quicker than a cell's answers side by side.
    """
    found: list[np.ndarray] = []
    for index, plane in enumerate(planes):
        if index % 8 == 0:
            found.append(np.zeros(free.shape, np.uint8))
        if plane is not None:
            found[-1] |= plane.view(np.uint8) << np.uint8(7 - index % 8)
    return np.stack([byte[free] for byte in found], axis=-1)


def packed_contexts(cells: np.ndarray, taken: np.ndarray, number: int) -> np.ndarray:
    """:func:`contexts` of the cells that are not ``taken``, :func:`packed`; ``number`` as of :func:`fixed_planes`."""
    by_row = (answers[:, None] for answers in row_contexts(cells).T)
    return packed(chain(coded_planes(cells), fixed_planes(taken, number), by_row), ~taken)


def distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of (n, bytes) uint8 where each different row stands first, and which of these every row is: (kinds,), (n,)."""
    words = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).view(np.uint64)
    # Numbers are sorted many times quicker than rows; that they tell the rows apart is looked at.
    factors = np.array([pow(MIX, 2 * word + 1, 1 << 64) for word in range(words.shape[1])], np.uint64)
    mixed = ((words ^ (words >> np.uint64(29))) * factors).sum(1, dtype=np.uint64)
    _, first, place = np.unique(mixed, return_index=True, return_inverse=True)
    if (words[first][place] != words).any():
        named = rows.view(f"V{rows.shape[1]}").ravel()
        _, first, place = np.unique(named, return_index=True, return_inverse=True)
    return first, place
