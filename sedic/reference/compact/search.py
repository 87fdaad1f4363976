"""What the encoder writes of a picture: analysis, second thoughts, and where somebody waits for them, long ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...models.precision import autocast
from .anneal import ROUNDS, annealed
from .improve import PACE
from .prior import SUBSTEPS, Prior
from .refine import expectations, refined, rounded
from .symbols import Latents
from .tiles import LATENTS, STRIDE, Tile, in_tiles, part_of
from .transforms import PIXEL

# Pixels that are taken at once, in each direction, and what is seen around them: they bound the memory. What comes out
# may be a little worse at a border.
ANALYSED, REFINED = (1536, 96), (768, 32)


class Search:
    """One picture at one quality.

    Args:
        networks: :class:`.transforms.Transforms` and :func:`.improve.improvers`, or with convolutions in bfloat16.
        prior: of the symbols.
        trade_off: λ: bits per pixel that a squared error of one grey level is worth.
        image: (H, W, 3) uint8.
        quality: in steps of 1/8, from 0 on.
        in_bfloat16: whether the convolutions are.
    """

    def __init__(
        self,
        networks: tuple[Any, Any],
        prior: Prior,
        trade_off: float,
        image: np.ndarray,
        quality: int,
        in_bfloat16: bool,
    ) -> None:
        (self._transforms, self._improvers), self._prior = networks, prior
        self._quality, self._half = quality, in_bfloat16
        missing = [(0, -n % STRIDE) for n in image.shape[:2]]
        self._image = np.pad(image, [*missing, (0, 0)], mode="edge") if any(map(any, missing)) else image
        self._step = torch.tensor([self._quality / SUBSTEPS])
        # Bits that a squared error of one is worth in a channel of a pixel, in the transforms' unit.
        self._trade_off = trade_off / 3 * PIXEL**2
        # The linear transforms are nearly orthonormal: an error of one step is one of the step's size in pixels.
        self._worth = [self._trade_off * s.flatten().square() for s in self._transforms.steps(self._step)]

    def latents(self, long: bool) -> tuple[Latents, Latents]:
        """The latents to be written, and how many bits a squared error of one step is worth in each of their channels.

        Args:
            long: whether :mod:`.anneal` goes on from what :mod:`.refine` finds.
        """
        analysed = self._analysed()
        symbols = _rounded(analysed)
        # Within a node of ComfyUI inference mode forbids gradients.
        with torch.inference_mode(False), torch.enable_grad():
            found = self._refined(analysed, symbols)
            random = torch.Generator().manual_seed(0)
            for number in range(ROUNDS if long else 0):
                found = self._annealed(found, symbols, number, random)
                symbols = np.rint(found[0]), np.rint(found[1])
        coarse, fine = ((w / PACE).numpy() for w in self._worth)
        return symbols if long else found, (coarse, fine)

    def _analysed(self) -> Latents:
        def analyse(tile: Tile) -> list[Tensor]:
            with torch.no_grad(), autocast(on=self._half):
                return [y[0] for y in self._transforms.latents(self._pixels(tile), self._step)]

        return in_tiles(self._image.shape[:2], analyse, LATENTS, *ANALYSED, "reference, analysis")

    def _refined(self, latents: Latents, symbols: Latents) -> Latents:
        expected = expectations(self._prior, symbols, self._quality)

        def refine(tile: Tile) -> list[Tensor]:
            with autocast(on=self._half):
                found = refined(self._transforms, self._improvers, self._pixels(tile), _tensors(latents, tile),
                                _tensors(symbols, tile), _within(expected, tile), self._worth, self._step)  # fmt: skip
            return [y[0] for y in found]

        return in_tiles(self._image.shape[:2], refine, LATENTS, *REFINED, "reference, refinement")

    def _annealed(self, latents: Latents, symbols: Latents, number: int, random: torch.Generator) -> Latents:
        expected = expectations(self._prior, symbols, self._quality)

        def anneal(tile: Tile) -> list[Tensor]:
            with autocast(on=self._half):
                found = annealed(self._transforms, self._pixels(tile), _tensors(latents, tile), _within(expected, tile),
                                 self._trade_off, self._step, number, random)  # fmt: skip
            return [y[0] for y in found]

        return in_tiles(self._image.shape[:2], anneal, LATENTS, *REFINED, "reference, long search")

    def _pixels(self, tile: Tile) -> Tensor:
        """(1, 3, H, W) in the transforms' unit."""
        values = torch.from_numpy(self._image[tile].copy())[None].permute(0, 3, 1, 2)
        return values.float().sub_(127.5).div_(PIXEL)


def _rounded(latents: Latents) -> Latents:
    coarse, fine = (rounded(torch.from_numpy(y)).numpy() for y in latents)
    return coarse, fine


def _tensors(values: Latents, tile: Tile) -> list[Tensor]:
    return [torch.from_numpy(part_of(k, tile, n)[None]).float() for k, n in zip(values, LATENTS, strict=True)]


def _within(expected: list[tuple[Tensor, Tensor]], tile: Tile) -> list[tuple[Tensor, Tensor]]:
    pairs = zip(expected, LATENTS, strict=True)
    return [(part_of(mean, tile, n), part_of(scale, tile, n)) for (mean, scale), n in pairs]
