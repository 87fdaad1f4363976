"""Crops for the reference codec's training, and the linear transform that it starts with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ...reference.compact.transforms import COARSE, FINE, LOWEST, PIXEL

MOST_AREA = 1_500_000  # a picture larger than this is not shown more often
AS_IT_IS = 0.4  # share of crops that are not resized


class ScaledCrops:
    """Endless batches of square crops, whose content is about as large as in a photograph of 768×512.

    Small pictures are mostly enlarged up to twice: at these rates nothing of what that blurs is coded, and whole
    objects are rarely as small as there. Large ones are shrunk up to twice.
    """

    def __init__(self, pictures: list[np.ndarray], size: int, batch: int, seed: int) -> None:
        self.pictures, self.size, self.batch = pictures, size, batch
        areas = np.array([min(p.shape[0] * p.shape[1], MOST_AREA) for p in pictures], float)
        self.weights = areas / areas.sum()
        self.random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Tensor]:
        """Batches (N, 3, size, size) float32 in the transforms' unit."""
        return map(to_unit, self.pixels())

    def pixels(self) -> Iterator[np.ndarray]:
        """The same as pixels, (N, size, size, 3) uint8."""
        while True:
            chosen = self.random.choice(len(self.pictures), self.batch, p=self.weights)
            yield np.stack([self._crop(self.pictures[index]) for index in chosen])

    def _crop(self, picture: np.ndarray) -> np.ndarray:
        short = min(picture.shape[:2])
        factor = 1.0
        if self.random.random() > AS_IT_IS:
            low, high = (0.5, 1.0) if short > 800 else (1.0, 2.0 if short <= 400 else 1.5)
            factor = self.random.uniform(low, high)
        side = min(round(self.size / factor), short)
        top, left = (self.random.integers(length - side + 1) for length in picture.shape[:2])
        crop = picture[top : top + side, left : left + side]
        if side != self.size:
            resized = Image.fromarray(crop).resize((self.size, self.size), Image.Resampling.BICUBIC)
            crop = np.asarray(resized)
        return crop[:, ::-1] if self.random.random() < 0.5 else crop


def to_unit(pixels: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32, channels last in memory, in units of 64 grey levels."""
    values = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    return ((values.float() - 127.5) / PIXEL).contiguous(memory_format=torch.channels_last)


def karhunen_loeve(crops: Iterator[Tensor], batches: int) -> tuple[Tensor, Tensor]:
    """The first coefficients' vectors of 16×16 blocks, (8 + 64, 768), and of 2×2 blocks' 8 lowest, (32, 32)."""
    images = [next(crops) for _ in range(batches)]
    vectors = _principal([F.pixel_unshuffle(x, 16) for x in images])[: LOWEST + FINE]
    lowest = [F.conv2d(F.pixel_unshuffle(x, 16), vectors[:LOWEST, :, None, None]) for x in images]
    return vectors, _principal([F.pixel_unshuffle(x, 2) for x in lowest])[:COARSE]


def _principal(features: list[Tensor]) -> Tensor:
    """Orthonormal rows, (channels, channels), of falling energy (no mean is removed), from (N, channels, H, W)."""
    total: Tensor | float = 0.0
    for x in features:
        rows = x.permute(0, 2, 3, 1).flatten(0, 2).double()
        total = total + rows.mT @ rows
    return torch.linalg.eigh(total)[1].flip(1).mT.float().contiguous()
