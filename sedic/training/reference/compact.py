"""Trains the ``compact`` reference codec: transforms and entropy model together, one model for all qualities.

What this makes is ``compact-1``; :mod:`.written` learns from it what ``compact`` has beyond.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from ...errors import SedicError
from ...metrics.fidelity import MS_SSIM_MIN_SIDE
from ...metrics.structure import WORTH, Structure
from ...models.precision import autocast
from ...reference.compact.prior import SUBSTEPS
from ...reference.compact.refine import rounded
from ...reference.compact.transforms import KNOTS, PIXEL, Transforms
from ..data import centre, split
from ..device import CPU, Device
from ..loop import Run
from ..muon import Muon
from .crops import ScaledCrops, karhunen_loeve, to_unit
from .integers import package, with_whole_weights
from .prior import LEAST_SCALE, Prior, Step, bits

LEAST_LAMBDA, LAMBDA_RATIO = 4e-5, 1.47  # λ of quality 0, and from one to the next
MIDDLE_LAMBDA, MIDDLE_LOSS = 1.5e-4, 0.05
SHOWN = (1.0, 3.5, 6.0)  # qualities that are validated
FILE = "compact.safetensors"


@dataclass
class Config:
    """The recipe of the shipped weights, whose parts were made one by one: see their card.

    A long run minimises the squared error. A copy of what it ends with goes on for a little with MS-SSIM in the
    distortion, too, and the weights end ``share`` of the way to that copy: near to each other as the two are, squared
    error is traded for structure without training again (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
    models"). Last, the entropy model learns alone, in whole numbers.

    Attributes:
        structure: share of MS-SSIM in the copy's distortion, beside the squared error, 0 to 1.
        share: of the way to the copy, 0 to 1; with ``structure_minutes = 0`` there is none.
    """

    minutes: float = 130
    rate: float = 2e-3
    structure_minutes: float = 8
    structure_rate: float = 4e-4
    structure: float = 0.5
    share: float = 0.3
    settling_minutes: float = 6
    settling_rate: float = 5e-4
    crop: int = 256
    batch: int = 8
    longest_short_side: int = 1100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("of MS-SSIM", self.structure), ("of the way to the copy", self.share)):
            if not 0 <= value <= 1:
                raise SedicError(f"The share {name} is {value:g}; choose one of 0 to 1.")


class Codec(nn.Module):
    """Everything that is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.transforms, self.prior = Transforms(), Prior()


def trade_off(quality: Tensor) -> Tensor:
    """λ of a quality 0 … 7: bits per pixel that one unit of mean squared error (grey levels²) is worth."""
    return LEAST_LAMBDA * LAMBDA_RATIO**quality


def loss_shares(quality: Tensor) -> Tensor:
    """Of pictures in a batch's loss, (N,): without it the highest quality, which costs most, would be learnt best."""
    return (MIDDLE_LAMBDA / trade_off(quality)).sqrt() / MIDDLE_LOSS / len(quality)


def through(y: Tensor) -> Tensor:
    """:func:`rounded`, with the gradient of the identity."""
    return y + (rounded(y) - y).detach()


def coded(codec: Codec, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bits of each picture as coded, the same as a surrogate whose gradient reaches the analysis, and pictures.

    The entropy model learns from the whole numbers that will be coded. The analysis learns from what noisy latents
    would cost under it: of whole numbers it would not see that a 0 was nearly a 1.
    """
    latents = codec.transforms.latents(x, quality)
    whole = through(latents[0]), through(latents[1])
    expected = codec.prior(*whole, quality)
    cost = torch.stack([bits(k.detach(), e).sum((1, 2, 3)) for k, e in zip(whole, expected, strict=True)]).sum(0)
    noisy = [y + torch.rand_like(y) - 0.5 for y in latents]
    surrogate = [bits(y, e.detach()).sum((1, 2, 3)) for y, e in zip(noisy, expected, strict=True)]
    return cost, torch.stack(surrogate).sum(0), codec.transforms.pictures(*whole, quality)


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> Any:
    """Trains, or resumes, in ``out``, and writes ``compact.safetensors`` there; returns the model."""
    torch.manual_seed(config.seed)
    crops, held_out = _pictures(data, config)
    model = Codec()
    fresh = not (out / "checkpoint.pt").is_file()
    if fresh:
        start(model, crops)
    model.to(memory_format=torch.channels_last)
    optimizer = _optimizer(model, config.rate)
    run = Run(out, model, config.minutes, config.rate, optimizer=optimizer, device=device)
    if fresh:
        run.log(validate(run.average, held_out, device))
    torch.manual_seed(config.seed + run.step)  # a resumed run sees other noise than it began with
    learn(run, crops, held_out, 0.0)
    codec: Codec = run.average
    # A run that went on makes its copy, and settles, anew.
    if config.structure_minutes:
        copied = copy.deepcopy(codec).requires_grad_(True).train()
        variant = Run(
            out / f"structure-{run.step}", copied, config.structure_minutes, config.structure_rate,
            optimizer=_optimizer(copied, config.structure_rate), device=device,
        )  # fmt: skip
        learn(variant, crops, held_out, config.structure)
        blend(codec, variant.average, config.share)
    settle(codec, crops, out / f"settling-{run.step}", config, device)
    run.log(validate(codec, held_out, device))
    codec = device.home(codec)  # integers are made of it
    steps = torch.arange(SUBSTEPS * (KNOTS - 1) + 1) / SUBSTEPS
    save_file(package(codec.transforms, codec.prior, trade_off(steps).numpy()), out / FILE)
    return codec


def learn(run: Run, crops: Iterator[Tensor], held_out: list[np.ndarray], structure_share: float) -> None:
    """Spends a run's budget; ``structure_share`` as :func:`distortion` takes it."""
    model: Any = run.model
    device = run.device

    def losses() -> dict[str, Tensor]:
        x = device.batch(next(crops))
        quality = device.batch(qualities(len(x)))
        with autocast("convolution", device=x.device):
            cost, surrogate, decoded = coded(model, x, quality)
        weight = trade_off(quality)
        error = distortion(decoded.float(), x, structure_share)
        share = loss_shares(quality)
        pixels = x.shape[2] * x.shape[3]
        return {
            "bits": (share * cost).sum() / pixels,
            "error": (share * weight * error).sum(),
            # Adds nothing but its gradient.
            "surrogate": (share * (surrogate - surrogate.detach())).sum() / pixels,
        }

    run.train(losses, lambda average: validate(average, held_out, device), every_minutes=4.0)


@torch.no_grad()
def blend(codec: Codec, variant: Codec, share: float) -> None:
    """Moves the weights of ``codec`` ``share`` of the way to a variant's."""
    for ours, theirs in zip(codec.parameters(), variant.parameters(), strict=True):
        ours.lerp_(theirs, share)


def _pictures(data: Path, config: Config) -> tuple[Iterator[Tensor], list[np.ndarray]]:
    """Crops to train with, and the middles of the pictures that are left out."""
    training, validation = split(data)
    side = config.longest_short_side
    crops = iter(ScaledCrops([p.pixels(side) for p in training], config.crop, config.batch, config.seed))
    held_out = [centre(p.pixels(side), config.crop) for p in validation]
    return crops, [p for p in held_out if p.shape[:2] == (config.crop, config.crop)]


def distortion(decoded: Tensor, x: Tensor, structure_share: float) -> Tensor:
    """Of each picture, (N,), in squared grey levels: squared error, and what of MS-SSIM is missing, by its share.

    Args:
        decoded: (N, 3, H, W) in the transforms' unit.
        x: the originals, likewise.
        structure_share: 0 … 1.
    """
    error = ((decoded - x) * PIXEL).square().mean((1, 2, 3))
    if not structure_share:
        return error
    missing = 1 - Structure(x * PIXEL + 127.5)(decoded * PIXEL + 127.5)
    return (1 - structure_share) * error + structure_share * WORTH * missing


def settle(codec: Codec, crops: Iterator[Tensor], out: Path, config: Config, device: Device = CPU) -> None:
    """Trains the entropy model further, on what the trained transforms give it, as the 8-bit integers it will be."""
    codec.requires_grad_(False)
    prior = codec.prior.requires_grad_(True).train()
    optimizer = _optimizer(prior, config.settling_rate)
    run = Run(out, prior, config.settling_minutes, config.settling_rate, optimizer=optimizer, device=device)

    def losses() -> dict[str, Tensor]:
        x = device.batch(next(crops))
        quality = device.batch(qualities(len(x)))
        with torch.no_grad(), autocast("convolution", device=x.device):
            coarse, fine = (rounded(y.float()) for y in codec.transforms.latents(x, quality))
        expected = torch.func.functional_call(prior, with_whole_weights(prior), (coarse, fine, quality))
        share = loss_shares(quality) / (x.shape[2] * x.shape[3])
        cost = [(bits(k, e).sum((1, 2, 3)) * share).sum() for k, e in zip((coarse, fine), expected, strict=True)]
        return {"coarse": cost[0], "fine": cost[1]}

    run.train(losses, lambda average: {}, every_minutes=2.0)
    codec.prior.load_state_dict(run.average.state_dict())
    codec.requires_grad_(False).eval()


def shares(name: str, parameter: nn.Parameter) -> float | None:
    """Of the learning rate: little for the linear transforms, which begin as the best linear ones there are."""
    if name.startswith(("transforms.analysis.linear", "transforms.synthesis.linear")):
        return 0.02
    return None if parameter.ndim == 4 else 0.5


def _optimizer(model: nn.Module, rate: float) -> Muon:
    return Muon(model, rate, weight_decay=0.0, shares=shares)


def qualities(count: int) -> Tensor:
    """Random ones, (count,) in 0 … 7, evenly spread."""
    return (torch.arange(count) + torch.rand(count)) / count * (KNOTS - 1)


@torch.no_grad()
def validate(codec: Codec, pictures: list[np.ndarray], device: Device = CPU) -> dict[str, float]:
    """Mean bits per pixel, as the entropy model has them, PSNR in dB and MS-SSIM, of pictures of one size."""
    figures = {}
    limit = 127.5 / PIXEL
    for quality in SHOWN:
        rates, values, likenesses = [], [], []
        for first in range(0, len(pictures), 8):
            x = device.batch(to_unit(np.stack(pictures[first : first + 8])))
            with autocast("convolution", device=x.device):
                cost, _, decoded = coded(codec, x, x.new_full((len(x),), quality))
            decoded = decoded.float().clamp(-limit, limit)
            error = distortion(decoded, x, 0)
            rates.append(cost / (x.shape[2] * x.shape[3]))
            values.append(10 * (255**2 / error).log10())
            if min(x.shape[2:]) >= MS_SSIM_MIN_SIDE:
                likenesses.append(Structure(x * PIXEL + 127.5)(decoded * PIXEL + 127.5))
        figures[f"bpp{quality:g}"] = torch.cat(rates).mean().item()
        figures[f"psnr{quality:g}"] = torch.cat(values).mean().item()
        if likenesses:
            figures[f"structure{quality:g}"] = torch.cat(likenesses).mean().item()
    return figures


@torch.no_grad()
def start(codec: Codec, crops: Iterator[Tensor]) -> None:
    """A transform coder: Karhunen–Loève transforms, steps that suit λ, one distribution for each channel."""
    vectors, lowest = karhunen_loeve(crops, 100)
    t = codec.transforms
    t.analysis.linear.weight.copy_(vectors[:, :, None, None])
    t.synthesis.linear.weight.copy_(vectors.mT[:, :, None, None])
    t.analysis.linear_coarse.weight.copy_(lowest[:, :, None, None])
    t.synthesis.linear_coarse.weight.copy_(lowest.mT[:, :, None, None])
    knots = torch.arange(KNOTS, dtype=torch.float32)
    # A bit is worth 3 / λ of squared error over all three colours; at high rates that is Δ² ln 2 / 6.
    steps = (0.8 * (18 / math.log(2) / trade_off(knots)).sqrt() / PIXEL).log()[:, None]
    for multiply, divide in ((t.multiply_coarse, t.divide_coarse), (t.multiply_fine, t.divide_fine)):
        multiply.values.copy_(steps.expand_as(multiply.values))
        divide.values.copy_(-steps.expand_as(divide.values))
    images = [next(crops) for _ in range(20)]
    for index in range(KNOTS):
        found = [t.latents(x, torch.full((len(x),), float(index))) for x in images]
        for part, prior in enumerate((codec.prior.coarse, codec.prior.fine)):
            symbols = torch.cat([rounded(f[part]) for f in found])
            deviation = symbols.square().mean((0, 2, 3)).sqrt()
            scale = (deviation * math.sqrt(3) / math.pi).clamp(2.0**LEAST_SCALE * 2).log2()
            for step in prior.children():
                assert isinstance(step, Step)
                step.quality_last.values[index, symbols.shape[1] :] = scale
