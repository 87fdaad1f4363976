"""Trains the embedded autoencoder (TAESD's shape, 16 latent channels)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock
from torch import Tensor, nn
from torch.nn import functional as F

from ..models.embedded import new_autoencoder, save
from .data import RandomCrops, read_annotations, to_tensor
from .loop import Run


@dataclass
class Config:
    """The shipped weights were made with these values; ``minutes`` is the only one that was shortened or prolonged."""

    minutes: float = 32
    crop: int = 64
    batch: int = 16
    rate: float = 1e-3
    noise: float = 0.1  # added to latents, so that the decoder forgives a sampler's small errors
    longest_short_side: int = 512
    seed: int = 0


def charbonnier(a: Tensor, b: Tensor) -> Tensor:
    """Mean of sqrt((a - b)² + ε²): between L1 and L2, smooth at 0."""
    return ((a - b).square() + 1e-4).sqrt().mean()


def train(data: Path, out: Path, config: Config) -> Any:
    """Trains, or resumes, in ``out``, and writes ``autoencoder.safetensors`` there; returns the averaged model."""
    torch.manual_seed(config.seed)
    pictures = read_annotations(data)
    validation, training = pictures[::90], [p for i, p in enumerate(pictures) if i % 90]
    crops = iter(
        RandomCrops([p.pixels(config.longest_short_side) for p in training], config.crop, config.batch, config.seed)
    )
    held_out = torch.cat([to_tensor(_centre(p.pixels(256), 256)[None]) for p in validation])
    model = start_near_identity(new_autoencoder()).to(memory_format=torch.channels_last)
    run = Run(out, model, config.minutes, config.rate)

    def losses() -> dict[str, Tensor]:
        images = next(crops).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.encoder(images).float()
            noisy = latents + config.noise * torch.rand(len(latents), 1, 1, 1) * torch.randn_like(latents)
            half = F.avg_pool2d(latents, 2)
            decoded = model.decoder(noisy.contiguous(memory_format=torch.channels_last)).float()
            small = model.decoder(half[:2].contiguous(memory_format=torch.channels_last)).float()
        mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
        return {
            "pixels": charbonnier(decoded, images),
            "edges": 0.5 * (_differences(decoded) - _differences(images)).abs().mean(),
            # A shrunk latent decodes to a shrunk picture: latents that behave like pictures are easier to denoise.
            "scale": 0.25 * charbonnier(small, F.avg_pool2d(images[:2], 2)),
            "unit": 0.05 * (mean.square().mean() + (deviation - 1).square().mean()),
        }

    @torch.no_grad()
    def validate(average: Any) -> dict[str, float]:
        errors, latents = [], []
        for image in held_out.split(8):
            latent = average.encoder(image.contiguous(memory_format=torch.channels_last))
            latents.append(latent)
            error = (average.decoder(latent).clamp(-1, 1) - image).square().mean((1, 2, 3)) / 4
            errors.append(-10 * error.log10())
        stacked = torch.cat(latents)
        return {"psnr": torch.cat(errors).mean().item(), "latent_deviation": stacked.std().item()}

    run.train(losses, validate)
    save("autoencoder", run.average, out)
    return run.average


def start_near_identity(model: Any) -> Any:
    """He initialisation, with every residual branch starting at zero: without it the plain stack learns slowly."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, AutoencoderTinyBlock):
            nn.init.zeros_(module.conv[-1].weight)
    for half in (model.encoder, model.decoder):
        last = [module for module in half.modules() if isinstance(module, nn.Conv2d)][-1]
        with torch.no_grad():
            last.weight.mul_(0.5)
    return model


def _centre(pixels, size: int):
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[max(top, 0) :, max(left, 0) :][:size, :size]


def _differences(x: Tensor) -> Tensor:
    """Horizontal and vertical differences, stacked along the channels."""
    return torch.cat([x[..., 1:, 1:] - x[..., 1:, :-1], x[..., 1:, 1:] - x[..., :-1, 1:]], 1)
