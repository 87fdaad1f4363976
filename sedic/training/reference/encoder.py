"""Trains what the ``compact`` encoder thinks a second time with; decoder, entropy model and format stay as they are.

Rounds follow each other as they do in the encoder, and what each comes to is charged: the bits of its symbols under
the entropy model, and the decoder's error. Symbols are drawn by what each would cost (straight-through Gumbel softmax:
Jang, Gu, Poole 2017), so that the network feels what a neighbouring symbol would have been worth.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from ...models.precision import autocast
from ...reference.compact.codec import ENCODERS_WEIGHTS, WEIGHTS, package_weights
from ...reference.compact.error import error_to
from ...reference.compact.improve import PACE, improvers
from ...reference.compact.refine import SHARE, logistic_bits, newton, rounded
from ...reference.compact.transforms import PIXEL
from ..data import split
from ..device import CPU, Device
from ..loop import Run
from ..muon import Muon
from .compact import loss_shares, qualities, trade_off
from .crops import ScaledCrops
from .integers import floats, rows
from .prior import Prior, bits

FILE = ENCODERS_WEIGHTS.name


@dataclass
class Config:
    """The recipe.

    Attributes:
        heat: of the symbols' draw, in bits, first and last.
    """

    minutes: float = 90
    rate: float = 1.5e-3
    heat: tuple[float, float] = (0.5, 0.1)
    crop: int = 256
    batch: int = 8
    longest_short_side: int = 1100
    seed: int = 0


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> None:
    """Trains, or resumes, in ``out``, and writes ``compact_encoder.safetensors`` there."""
    torch.manual_seed(config.seed)
    transforms = device.place(copy.deepcopy(package_weights().transforms))
    table = {name.removeprefix("prior."): value for name, value in load_file(WEIGHTS).items()}
    prior = device.place(floats(table).requires_grad_(False))
    pictures = [p.pixels(config.longest_short_side) for p in split(data)[0]]
    crops: Iterator[Tensor] = iter(ScaledCrops(pictures, config.crop, config.batch, config.seed))
    rounds = improvers().to(memory_format=torch.channels_last)
    optimizer = Muon(rounds, config.rate, weight_decay=0.0, shares=lambda _, p: None if p.ndim == 4 else 0.5)
    run = Run(out, rounds, config.minutes, config.rate, optimizer=optimizer, device=device)
    model: Any = run.model
    torch.manual_seed(config.seed + run.step)  # a resumed run sees other noise than it began with

    def losses() -> dict[str, Tensor]:
        x = device.batch(next(crops))
        quality = device.batch(qualities(len(x)))
        progress = min(1.0, run.seconds / (60 * config.minutes))
        heat = config.heat[0] * (config.heat[1] / config.heat[0]) ** progress
        found = charged(transforms, prior, model, x, quality, heat)
        return {f"round{number}": loss for number, loss in enumerate(found)}

    run.train(losses, lambda average: {}, every_minutes=4.0)
    save_file(rows(device.home(run.average)), out / FILE)


def charged(
    transforms: Any, prior: Prior, rounds: nn.ModuleList, x: Tensor, quality: Tensor, heat: float
) -> list[Tensor]:
    """What the symbols behind each round cost: bits and weighed error, as ``sedic train reference`` adds them up.

    Args:
        transforms: of the codec, not trained.
        prior: likewise.
        rounds: what is trained.
        x: (N, 3, H, W) in the transforms' unit.
        quality: (N,) in 0 … 7.
        heat: of the symbols' draw, in bits.
    """
    trade = trade_off(quality) / 3 * PIXEL**2
    worth = [trade[:, None, None, None] * s.square() / PACE for s in transforms.steps(quality)]
    error = error_to(x, SHARE)
    with torch.no_grad(), autocast("convolution", device=x.device):
        latents = [y.float() for y in transforms.latents(x, quality)]
        symbols = [rounded(y) for y in latents]
        expected = [(mean, scale.exp2()) for mean, scale in (e.chunk(2, 1) for e in prior(*symbols, quality))]
    share = loss_shares(quality) / (x.shape[2] * x.shape[3])
    found = []
    for improver in rounds:
        with autocast("convolution", device=x.device):
            moves, missing = newton(transforms, x, symbols, error, quality)
            wanted = improver(symbols, moves, latents, expected, missing, quality)
            drawn = [draw(y, *e, w, heat) for y, e, w in zip(wanted, expected, worth, strict=True)]
            costs = [bits(k, e.float()).sum((1, 2, 3)) for k, e in zip(drawn, prior(*drawn, quality), strict=True)]
            picture = transforms.pictures(*drawn, quality).float()
        found.append((share * (costs[0] + costs[1] + trade * error(picture))).sum())
        symbols = [k.detach() for k in drawn]
    return found


def draw(wanted: Tensor, mean: Tensor, scale: Tensor, worth: Tensor, heat: float) -> Tensor:
    """Whole numbers for latents, by chance, 0 and the two around each, the cheaper the likelier.

    Args:
        wanted: (N, C, h, w).
        mean: what is expected, likewise.
        scale: likewise.
        worth: bits that a squared error of one is worth, broadcast to the same.
        heat: bits by which a symbol has to be cheaper than another to be e times as likely.

    Returns:
        (N, C, h, w), with the gradient of the mean symbol.
    """
    low = wanted.detach().floor()
    symbols = torch.stack([torch.zeros_like(low), low, low + 1])
    cost = logistic_bits((symbols - mean).abs(), scale) + worth * (symbols - wanted).square()
    twice = symbols == 0
    twice[0] = False  # 0 itself is the first
    chances = (-cost / heat).masked_fill(twice, -torch.inf)
    gumbel = -(-torch.rand_like(chances).clamp(1e-6, 1 - 1e-6).log()).log()
    (drawn,) = symbols.gather(0, (chances + gumbel).argmax(0, keepdim=True))
    likely = (chances.softmax(0) * symbols).sum(0)
    return drawn + (likely - likely.detach())
