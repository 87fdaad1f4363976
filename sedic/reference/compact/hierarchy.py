"""What the coarse symbols' probabilities are, from far positions to near ones, computed in integers.

Four fifths of a reference's bytes are coarse symbols, of which there are few: their entropy model can afford many
passes. Positions are coded in six sets: every fourth in both directions, the middles between those, and so on to the
gaps between neighbours; the first set stands for the whole picture, the last knows what is on all sides of it. At the
positions of a set channels are coded in four groups, the strongest first. A pass sees the 5×5 positions around, as far
as earlier sets hold them, and the groups before at its own.

Symbols are 0 more often than a logistic distribution says, as an encoder that minimises bits makes them so; the third
thing that is foretold beside mean and scale is by how much (a zero-inflated distribution).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from .prior import (
    CHUNK,
    FACTOR_BITS,
    MEAN_SHIFT,
    MOST_SYMBOL,
    Expected,
    Product,
    activations,
    at_knots,
    dropped,
    means_and_scales,
)

Lattice = tuple[int, int, int]  # first row, first column, and what lies between two rows or columns
SETS: tuple[tuple[Lattice, ...], ...] = (
    ((0, 0, 4),),
    ((2, 2, 4),),
    ((0, 2, 4), (2, 0, 4)),
    ((1, 1, 2),),
    ((0, 1, 2),),
    ((1, 0, 2),),
)
GROUPS = ((0, 1), (1, 4), (4, 10), (10, 32))  # channels from, to
SIDE, MARGIN = 5, 2  # of what is seen around a position
ZERO_BITS, LEAST_ZERO, ZEROS = 3, -64, 97  # logits of the share of zeros that are added, from −8 to 4
LEVEL = "coarse"


class Hierarchy:
    """The networks of a table, and the walk through the passes that writer and reader share."""

    def __init__(self, table: dict[str, np.ndarray]) -> None:
        """Takes the arrays of :func:`sedic.training.reference.integers.of_hierarchy`.

        Raises:
            ValueError: sums could leave what float32 holds exactly.
        """
        self._products = {
            name.removesuffix(".weight"): Product(table, name.removesuffix(".weight"))
            for name in table
            if name.endswith(".weight")
        }
        self._knots = {name: values.astype(np.int64) for name, values in table.items() if name.endswith(".knots")}

    def walk(self, size: tuple[int, int], quality: int) -> Generator[Expected, np.ndarray, np.ndarray]:
        """Yields the passes in turn, and is sent their symbols, (n,) integers.

        Args:
            size: rows and columns of the coarse latent.
            quality: in steps of 1/8 of those that were trained.

        Returns:
            The symbols, (channels, rows, columns) int32.
        """
        channels = GROUPS[-1][1]
        symbols = np.zeros((channels, *size), np.int32)
        # As the networks see them, with nothing around: rows, columns, channels.
        seen = np.zeros((size[0] + 2 * MARGIN, size[1] + 2 * MARGIN, channels), np.float32)
        for number, lattices in enumerate(SETS):
            rows, columns = positions(size, lattices)
            if not len(rows):
                continue
            around = self._around(number, seen, rows, columns)
            for group, (first, end) in enumerate(GROUPS):
                here = seen[rows + MARGIN, columns + MARGIN, :first]
                means, scales, zeros = self._network(f"set{number}.group{group}", (first, end), around, here, quality)
                found = yield Expected(
                    LEVEL,
                    np.repeat(np.arange(first, end), len(rows)),
                    np.tile(rows, end - first),
                    np.tile(columns, end - first),
                    means.T.ravel() << MEAN_SHIFT[LEVEL],
                    scales.T.ravel(),
                    zeros.T.ravel(),
                )
                found = found.reshape(end - first, len(rows))
                symbols[first:end, rows, columns] = found
                most = MOST_SYMBOL[LEVEL]
                seen[rows + MARGIN, columns + MARGIN, first:end] = np.clip(found, -most, most).T
        return symbols

    def _around(self, number: int, seen: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray | None:
        """What a set's positions make of those around them, (n, hidden + channels) int64; None for the first set."""
        name = f"set{number}.around"
        if name not in self._products:
            return None
        down, right = (axis.ravel() for axis in np.indices((SIDE, SIDE)))
        product = self._products[name]
        return np.concatenate(
            [
                product.of(seen[rows[part, None] + down, columns[part, None] + right].reshape(-1, product.inputs))
                for part in _chunks(len(rows))
            ]
        )

    def _network(
        self, name: str, group: tuple[int, int], around: np.ndarray | None, here: np.ndarray, quality: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means, scales and shares of zeros, (n, channels of the group) int64 each."""
        product = self._products
        hidden = np.tile(at_knots(self._knots[f"{name}.first.knots"], quality), (len(here), 1))
        width, moved = hidden.shape[1], np.zeros((len(here), group[1] - group[0]), np.int64)
        if around is not None:
            hidden += around[:, :width]
            moved += around[:, width + group[0] : width + group[1]]
        if group[0]:
            own = product[f"{name}.own"].of(here)
            hidden += own[:, :width]
            moved += own[:, width:]
        last = product[f"{name}.last"].of(activations(product[f"{name}.second"].of(activations(hidden))))
        last += at_knots(self._knots[f"{name}.last.knots"], quality)
        means, scales, zeros = np.split(last, 3, 1)
        zeros = dropped(zeros, FACTOR_BITS - ZERO_BITS) - LEAST_ZERO
        return *means_and_scales(means + moved, scales), np.clip(zeros, 0, ZEROS - 1)


def positions(size: tuple[int, int], lattices: tuple[Lattice, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a set's positions, (n,) each."""
    grids = [
        np.meshgrid(np.arange(row, size[0], step), np.arange(column, size[1], step), indexing="ij")
        for row, column, step in lattices
    ]
    rows, columns = (np.concatenate([grid[axis].ravel() for grid in grids]) for axis in range(2))
    return rows, columns


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))
