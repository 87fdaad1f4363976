"""Large pictures a part at a time: tiles with margins, which bound the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from ...progress import track

STRIDE = 32  # both sides' divisor
LATENTS = (32, 16)  # how much smaller than the picture they are
Tile = tuple[slice, slice]  # rows and columns


def in_tiles(
    size: tuple[int, ...],
    work: Callable[[Tile], list[Any]],
    strides: tuple[int, ...],
    tile: int,
    margin: int,
    what: str,
) -> Any:
    """Puts together, (channels, rows, columns) each, what ``work`` makes of overlapping tiles of ``size`` pixels.

    Args:
        size: rows and columns, multiples of :data:`STRIDE`.
        work: makes a tile's parts, tensors of (channels, rows / stride, columns / stride), one for each of ``strides``.
        strides: how much smaller than the picture the parts are.
        tile: pixels that are taken at once, in each direction.
        margin: pixels that are seen around them.
        what: for those who wait.
    """
    whole: list[np.ndarray] = []
    tiles = list(product(_spans(size[0], tile, margin), _spans(size[1], tile, margin)))
    for (rows, inner_rows), (columns, inner_columns) in track(tiles, what):
        parts = [part.numpy() for part in work((rows, columns))]
        if not whole:
            shapes = [(len(p), size[0] // n, size[1] // n) for p, n in zip(parts, strides, strict=True)]
            whole = [np.empty(shape, p.dtype) for shape, p in zip(shapes, parts, strict=True)]
        inside = _shifted(inner_rows, rows.start), _shifted(inner_columns, columns.start)
        for target, part, n in zip(whole, parts, strides, strict=True):
            part_of(target, (inner_rows, inner_columns), n)[...] = part_of(part, inside, n)
    return tuple(whole)


def part_of(values: Any, tile: Tile, stride: int) -> Any:
    """What of ``values``, (…, rows, columns) at 1/stride of the picture's size, lies in a tile."""
    rows, columns = (slice(s.start // stride, s.stop // stride) for s in tile)
    return values[..., rows, columns]


def _shifted(span: slice, origin: int) -> slice:
    return slice(span.start - origin, span.stop - origin)


def _spans(length: int, tile: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """Tiles of at most ``tile``, as even as can be, with their margins, and what is kept of each."""
    parts = -(-length // tile)
    borders = [length * number // (parts * STRIDE) * STRIDE for number in range(parts)] + [length]
    for start, end in zip(borders, borders[1:], strict=False):
        yield slice(max(0, start - margin), min(length, end + margin)), slice(start, end)
