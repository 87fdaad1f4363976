"""Sheets of samples over training time: what the networks make of a few held-out crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...models.precision import UNET, autocast
from ...restoration.color_fix import fix_colors
from ..device import CPU, Device
from .examples import mixed, unmixed
from .likeness import Likeness
from .perceptual import Features, distances

COUNT, SHOWN, STEPS = 16, 6, 2


@torch.no_grad()
def restore(networks: Any, condition: Tensor, tokens: Tensor, kept: Tensor, steps: int = STEPS) -> Tensor:
    """DDIM (Song et al. 2021) from noise, guided by nothing, (B, C, h, w); the noise is the same every time.

    Args:
        networks: :class:`.diffusion.Networks`.
        condition: latents of the references, (B, C, h, w).
        tokens: (B, T).
        kept: share of the signal at each training step.
        steps: of the sampler.
    """
    z = torch.randn(condition.shape, generator=torch.Generator().manual_seed(0)).to(condition)
    times = torch.linspace(len(kept) - 1, 0, steps + 1).long()
    strength = z.new_ones(len(z), 1, 1, 1)
    for time, following in zip(times[:-1], times[1:], strict=True):
        with autocast(*UNET, device=z.device):
            v = networks(z, tokens.new_full((len(z),), int(time)), tokens, condition, strength).float()
        clean, noise = unmixed(z, v, kept[time])
        z = mixed(clean, noise, kept[following])
    return clean


@torch.no_grad()
def sample_sheet(
    networks: Any, examples: Any, decoder: Any, features: Features, out: Path, step: int, device: Device = CPU
) -> dict[str, float]:
    """Writes ``samples/<step>.png`` below ``out``: rows of reference, restored and original, held-out crops.

    Returns:
        ``distance`` of features to the photographs, ``psnr`` in dB and ``ssimulacra2``: of the references, of what is
        restored in one step and in all, and of what the autoencoder leaves of the photographs.
    """
    random = np.random.default_rng(1)
    rows = examples.held_out[:: max(1, len(examples.held_out) // COUNT)][:COUNT]
    batch = device.batch(examples.batch(rows, examples.latents.shape[-1], random, validating=True, pixels=True))
    versions = {
        "reference": batch["condition"],
        "one_step": restore(networks, batch["condition"], batch["tokens"], examples.kept, 1),
        "restored": restore(networks, batch["condition"], batch["tokens"], examples.kept),
        "autoencoder": batch["target"],
    }
    decoded = {name: decoder(latents).clamp(-1, 1) for name, latents in versions.items()}
    for name in ("one_step", "restored"):
        decoded[name] = fix_colors(decoded[name], decoded["reference"]).clamp(-1, 1)
    columns = [decoded["reference"], decoded["restored"], batch["pixels"]]
    sheet = torch.cat([torch.cat(list(column[:SHOWN]), 1) for column in columns], 2)  # 3,rows·H,columns·W
    shown = device.home(((sheet.movedim(0, -1) + 1) * 127.5).round().byte()).numpy()
    folder = out / "samples"
    folder.mkdir(exist_ok=True)
    Image.fromarray(shown).save(folder / f"{step:06d}.png")
    true, likeness = features(batch["pixels"]), device.place(Likeness())
    figures = {}
    for name, pictures in decoded.items():
        error = (pictures - batch["pixels"]).square().mean((1, 2, 3))
        figures[f"distance_{name}"] = distances(features(pictures), true).sum(0).mean().item()
        figures[f"psnr_{name}"] = (10 * (4 / error).log10()).mean().item()
        figures[f"ssimulacra2_{name}"] = likeness(pictures, batch["pixels"]).mean().item()
    return figures
