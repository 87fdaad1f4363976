"""Large pictures: a denoiser that sees overlapping tiles of the latent and blends what it makes of them at every step.

The blend is a partition of unity, so that it adds nothing of its own; all tiles share one latent, as in MultiDiffusion
(Bar-Tal et al. 2023). Memory is that of one tile: guidance runs each tile again for its gradient (Chen et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .denoiser import AttentionMap, Denoiser

CELL = 8  # pixels of the picture's side in a latent cell, in most models
GRID = 8  # cells: tiles begin at multiples, so that three halvings of a tile and of the latent meet


@dataclass(frozen=True)
class Window:
    """A tile's place in the latent, in cells, and its share of each cell, (h, w); the shares of all tiles add to 1."""

    rows: slice
    columns: slice
    share: Tensor


def tiled(denoiser: Denoiser, latent: Tensor, working_size: int, cell: int = CELL) -> Denoiser:
    """``denoiser`` itself where the picture fits, else one that works in tiles.

    Args:
        denoiser: for the whole latent.
        latent: like the stage's, (1, C, h, w), h and w multiples of 8.
        working_size: longest side of a tile in pixels, a multiple of 64.
        cell: pixels of the picture's side in a latent cell.
    """
    side = max(GRID, working_size // cell // GRID * GRID)
    if max(latent.shape[-2:]) <= side:
        return denoiser
    return TiledDenoiser(denoiser, windows(latent.shape[-2], latent.shape[-1], side))


def windows(height: int, width: int, side: int) -> list[Window]:
    """Tiles of at most ``side`` cells a side, a quarter overlapping, that cover (height, width); multiples of 8."""
    downs, acrosses = _spans(height, side), _spans(width, side)
    return [Window(rows, columns, y[:, None] * x[None]) for rows, y in downs for columns, x in acrosses]


def _spans(length: int, side: int) -> list[tuple[slice, Tensor]]:
    """Along one axis: where tiles lie, and their shares, which fall linearly towards a neighbour."""
    size = min(side, length)
    overlap = max(GRID, size // 4 // GRID * GRID) if size > GRID else 0
    count = 1 if size == length else -(-(length - overlap) // (size - overlap))
    starts = [round(i * (length - size) / max(1, count - 1) / GRID) * GRID for i in range(count)]
    cells = torch.arange(size, dtype=torch.float64) + 0.5
    hat = torch.minimum(torch.minimum(cells, size - cells), torch.tensor(max(1.0, overlap)))
    total = torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + size] += hat
    return [(slice(start, start + size), (hat / total[start : start + size]).float()) for start in starts]


class TiledDenoiser:
    """:class:`~.denoiser.Denoiser` over windows of another one.

    Args:
        whole: the denoiser of the whole latent.
        places: from :func:`windows`.
    """

    def __init__(self, whole: Denoiser, places: list[Window]):
        self.whole, self.places = whole, places
        self.tiles = [whole.window(place.rows, place.columns) for place in places]

    @property
    def stride(self) -> float:
        return self.whole.stride

    def noised(self, latent: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        return self.whole.noised(latent, sigma, noise)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for place, tile in zip(self.places, self.tiles, strict=True):
            part = tile.denoise(x[..., place.rows, place.columns].contiguous(), sigma)
            total[..., place.rows, place.columns] += part * place.share.to(x)
        return total

    def attention(
        self, x: Tensor, sigma: Tensor, layers: Sequence[str], through_control: bool = True
    ) -> list[AttentionMap]:
        totals: list[Tensor] = []  # a layer each: heads,H,W,T of the whole picture
        kinds: list[AttentionMap] = []
        for place, tile in zip(self.places, self.tiles, strict=True):
            grids: list[tuple[int, int]] = []

            def weights(part: Tensor, tile: Denoiser = tile, grids: list[tuple[int, int]] = grids) -> list[Tensor]:
                maps = tile.attention(part, sigma, layers, through_control)
                grids[:] = [one.grid for one in maps]
                kinds[:] = [replace(one, weights=torch.empty(0)) for one in maps]
                return [one.weights for one in maps]

            part = x[..., place.rows, place.columns].contiguous()
            found = checkpoint(weights, part, use_reentrant=False, preserve_rng_state=False)
            spread = [
                _on_whole(w, grid, place, (x.shape[-2], x.shape[-1])) for w, grid in zip(found, grids, strict=True)
            ]
            totals = [a + b for a, b in zip(totals, spread, strict=True)] if totals else spread
        return [
            replace(kind, weights=total.flatten(1, 2), grid=(total.shape[1], total.shape[2]))
            for total, kind in zip(totals, kinds, strict=True)
        ]

    def window(self, rows: slice, columns: slice) -> Denoiser:
        return self.whole.window(rows, columns)

    def picture(self, index: int) -> Denoiser:
        return TiledDenoiser(self.whole.picture(index), self.places)


def _on_whole(weights: Tensor, grid: tuple[int, int], place: Window, latent: tuple[int, int]) -> Tensor:
    """A tile's attention, (heads, h·w, T), times its share, at its place on the whole picture's grid."""
    ratio = place.share.shape[0] // grid[0]  # latent cells in a cell of the layer
    share = F.avg_pool2d(place.share[None], ratio)[0].to(weights)
    part = weights.unflatten(1, grid) * share[None, :, :, None]  # heads,h,w,T
    top, left = place.rows.start // ratio, place.columns.start // ratio
    bottom = latent[0] // ratio - top - grid[0]
    right = latent[1] // ratio - left - grid[1]
    return F.pad(part, (0, 0, left, right, top, bottom))
