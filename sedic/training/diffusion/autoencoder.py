"""Trains the embedded autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.autoencoder import CELL, Autoencoder, Residual
from ...models.embedded import new_autoencoder, save
from ...models.precision import autocast
from ..data import RandomCrops, centre, split, to_tensor
from ..device import CPU, Device
from ..loop import Run


@dataclass
class Config:
    """The shipped weights were made with these values; ``minutes`` is the only one that was shortened or prolonged."""

    minutes: float = 25
    crop: int = 96
    batch: int = 16
    rate: float = 1e-3
    noise: float = 0.05  # added to latents, so that the decoder forgives a sampler's small errors
    longest_short_side: int = 512
    seed: int = 0


def charbonnier(a: Tensor, b: Tensor) -> Tensor:
    """Mean of sqrt((a - b)² + ε²): between L1 and L2, smooth at 0."""
    return ((a - b).square() + 1e-4).sqrt().mean()


def train(data: Path, out: Path, config: Config, device: Device = CPU) -> Any:
    """Trains, or resumes, in ``out``, and writes ``autoencoder.safetensors`` there; returns the averaged model."""
    torch.manual_seed(config.seed)
    training, validation = split(data)
    crops = iter(
        RandomCrops([p.pixels(config.longest_short_side) for p in training], config.crop, config.batch, config.seed)
    )
    held_out = torch.cat([to_tensor(centre(p.pixels(256), 256)[None]) for p in validation])
    model = new_autoencoder().to(memory_format=torch.channels_last)
    start_from_components(model, torch.cat([next(crops) for _ in range(100)]))
    run = Run(out, model, config.minutes, config.rate, device=device)

    def losses() -> dict[str, Tensor]:
        images = device.batch(next(crops).contiguous(memory_format=torch.channels_last))
        with autocast("convolution", device=images.device):
            latents = model.encoder(images).float()
            strength = config.noise * torch.rand(len(latents), 1, 1, 1, device=latents.device)
            noisy = latents + strength * torch.randn_like(latents)
            decoded = model.decoder(noisy.contiguous(memory_format=torch.channels_last)).float()
        mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
        return {
            "pixels": charbonnier(decoded, images),
            "edges": 0.25 * (_differences(decoded) - _differences(images)).abs().mean(),
            "unit": 0.02 * (mean.square().mean() + (deviation - 1).square().mean()),
        }

    @torch.no_grad()
    def validate(average: Any) -> dict[str, float]:
        errors, latents = [], []
        for images in held_out.split(8):
            image = device.batch(images.contiguous(memory_format=torch.channels_last))
            latent = average.encoder(image)
            latents.append(latent)
            error = (average.decoder(latent).clamp(-1, 1) - image).square().mean((1, 2, 3)) / 4
            errors.append(-10 * error.log10())
        stacked = torch.cat(latents)
        return {"psnr": torch.cat(errors).mean().item(), "latent_deviation": stacked.std().item()}

    run.train(losses, validate)
    finished = device.home(run.average)
    weigh_channels(finished)
    save("autoencoder", finished, out)
    return finished


@torch.no_grad()
def start_from_components(model: Autoencoder, images: Tensor) -> None:
    """Sets the linear path to the principal components of 8×8 blocks, whitened, and the corrections to zero.

    Args:
        model: the autoencoder.
        images: (N, 3, H, W) in [-1, 1], the sample that the components are taken from.
    """
    blocks = F.pixel_unshuffle(images, CELL).movedim(1, -1).flatten(0, -2).double()  # N·h·w,192
    mean = blocks.mean(0)
    variances, components = torch.linalg.eigh(torch.cov((blocks - mean).T))
    count = model.config.latent_channels
    deviations, basis = variances[-count:].flip(0).sqrt(), components[:, -count:].flip(1)
    forward, backward = (basis / deviations).T, basis * deviations
    for layer, weight, bias in (
        (model.encoder.linear, forward, -forward @ mean),
        (model.decoder.linear, backward, mean),
    ):
        layer.load_state_dict({"weight": weight[..., None, None], "bias": bias})
    for half in (model.encoder, model.decoder):
        for parameter in half.correction.parameters():
            nn.init.zeros_(parameter)
        for block in half.modules():
            if isinstance(block, Residual):
                nn.init.zeros_(block.second.weight)


@torch.no_grad()
def weigh_channels(model: Autoencoder) -> None:
    """Scales the latent's channels by the square root of what they weigh in the picture; pictures stay the same.

    White channels would let a diffusion model care for the faintest detail as much as for a block's colour, and noise
    would drown both at once. Half way back to the picture's own proportions, colours are settled first, as in pixels.
    """
    weights = model.decoder.linear.weight.flatten(1).norm(dim=0).sqrt()  # C
    weights /= weights.square().mean().sqrt()
    for writer in (model.encoder.linear, model.encoder.correction):
        for parameter in writer.parameters():
            parameter.mul_(weights.reshape(-1, *[1] * (parameter.ndim - 1)))
    for reader in (model.decoder.linear, model.decoder.coarse[0]):
        next(reader.parameters()).div_(weights.reshape(1, -1, 1, 1))


def _differences(x: Tensor) -> Tensor:
    """Horizontal and vertical differences, stacked along the channels."""
    return torch.cat([x[..., 1:, 1:] - x[..., 1:, :-1], x[..., 1:, 1:] - x[..., :-1, 1:]], 1)
