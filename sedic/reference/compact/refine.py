"""The encoder's second thoughts: latents moved to where the decoder, as it is, makes the smaller error.

Analysis gives latents that are right on average. The decoder's error and its gradient say for this very picture which
symbol should be one more or less; :mod:`.improve` says how much of that is worth its bits by the entropy model's
expectations. Only the encoder does this: nothing of it has to be exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .error import error_to
from .improve import PACE
from .prior import LEAST_SCALE, MEAN_BITS, SCALE_BITS, Expected, Prior
from .symbols import Latents, drive
from .transforms import Transforms

SHARE = 0.25  # of MS-SSIM in the error
DEAD_ZONE = 0.6  # latents below it become 0


def rounded(y: Tensor) -> Tensor:
    """Latents to whole numbers, in training and out of it; what is near 0 becomes 0."""
    nearest = torch.where(y.abs() < 1, y.sign(), y.round())
    return torch.where(y.abs() < DEAD_ZONE, torch.zeros_like(y), nearest)


def logistic_bits(off: Tensor, scale: Tensor) -> Tensor:
    """What a symbol ``off`` ≥ 0 from its mean costs: the logistic distribution, integrated over an interval of 1."""
    # σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)), which keeps its gradient where both are tiny.
    nats = F.softplus((off - 0.5) / scale) + F.softplus(-(off + 0.5) / scale) - torch.log(-torch.expm1(-1 / scale))
    return nats / math.log(2)


def expectations(prior: Prior, symbols: Latents, quality: int) -> list[tuple[Tensor, Tensor]]:
    """Means and scales, in steps, of all of a picture's symbols: (C, h, w) and (C', 2h, 2w)."""
    maps = [(np.zeros(k.shape, np.float32), np.zeros(k.shape, np.float32)) for k in symbols]

    def keep(expected: Expected) -> np.ndarray:
        level = int(expected.level == "fine")
        maps[level][0][expected.places] = expected.means / (1 << MEAN_BITS)
        maps[level][1][expected.places] = np.exp2((expected.scales + LEAST_SCALE) / (1 << SCALE_BITS))
        return symbols[level][expected.places].astype(np.int64)

    drive(prior.walk(symbols[0].shape[1:], quality), keep)
    return [(torch.from_numpy(mean), torch.from_numpy(scale)) for mean, scale in maps]


def refined(
    transforms: Transforms,
    improvers: nn.ModuleList,
    pixels: Tensor,
    latents: list[Tensor],
    symbols: list[Tensor],
    expected: list[tuple[Tensor, Tensor]],
    worth: list[Tensor],
    quality: Tensor,
) -> list[Tensor]:
    """Where the symbols of a picture should rather be, of which :func:`.symbols.write` makes whole numbers.

    Args:
        transforms: whose decoder is asked.
        improvers: :func:`.improve.improvers`, who make something of its answers.
        pixels: (1, 3, H, W) in the transforms' unit.
        latents: what analysis gave, in steps, (1, C, h, w) and (1, C', 2h, 2w).
        symbols: the same, rounded.
        expected: means and scales of the symbols, without the first axis.
        worth: bits that a squared error of one step is worth, (C,) and (C',).
        quality: (1,) in 0 … 7.
    """
    wanted, error = symbols, error_to(pixels, SHARE)
    around = [(mean[None], scale[None]) for mean, scale in expected]
    for number, improver in enumerate(improvers):
        if number:
            symbols = [
                _nearest(y, k, *e, w / PACE) for y, k, e, w in zip(wanted, symbols, expected, worth, strict=True)
            ]
        moves, missing = newton(transforms, pixels, symbols, error, quality)
        with torch.no_grad():
            wanted = improver(symbols, moves, latents, around, missing, quality)
    return wanted


def newton(
    transforms: Transforms,
    pixels: Tensor,
    symbols: list[Tensor],
    error: Callable[[Tensor], Tensor],
    quality: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """Newton steps of symbols, in their own steps, and what the linear analysis makes of what the decoder misses.

    Both without a gradient, as :class:`.improve.Improver` takes them.
    """
    symbols = [k.detach().requires_grad_(True) for k in symbols]
    picture = transforms.pictures(symbols[0], symbols[1], quality).float()
    gradients = torch.autograd.grad(error(picture).sum() / 2, symbols)
    moves = [-g / s.square() for g, s in zip(gradients, transforms.steps(quality), strict=True)]
    with torch.no_grad():
        return moves, transforms.analysis.linear(F.pixel_unshuffle(pixels - picture, 16)).float()


def _nearest(wanted: Tensor, now: Tensor, mean: Tensor, scale: Tensor, worth: Tensor) -> Tensor:
    """Of 0, the symbol as it is and the whole numbers around the wanted one that of least bits plus weighed error."""
    result = torch.zeros_like(wanted)
    # Elsewhere 0 is nearest and likeliest, and most symbols are there.
    busy = ((wanted.abs() > 0.3) | (now != 0) | (mean.abs() > 0.5)[None]).nonzero(as_tuple=True)
    wanted, now, mean, scale = wanted[busy], now.detach()[busy], mean[busy[1:]], scale[busy[1:]]
    candidates = torch.stack([torch.zeros_like(wanted), now, wanted.floor(), wanted.floor() + 1])
    cost = logistic_bits((candidates - mean).abs(), scale) + worth[busy[1]] * (candidates - wanted).square()
    result[busy] = candidates.gather(0, cost.argmin(0)[None])[0]
    return result
