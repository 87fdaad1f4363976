"""Sheets of samples over training time: what the networks make of a few held-out crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

COUNT, STEPS = 6, 12


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
    z = torch.randn(condition.shape, generator=torch.Generator().manual_seed(0))
    times = torch.linspace(len(kept) - 1, 0, steps + 1).long()
    strength = torch.ones(len(z), 1, 1, 1)
    for time, following in zip(times[:-1], times[1:], strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            v = networks(z, time.repeat(len(z)), tokens, condition, strength).float()
        signal, spread = kept[time], (1 - kept[time] ** 2).sqrt()
        clean, noise = signal * z - spread * v, spread * z + signal * v
        z = kept[following] * clean + (1 - kept[following] ** 2).sqrt() * noise
    return clean


@torch.no_grad()
def sample_sheet(networks: Any, examples: Any, decoder: Any, out: Path, step: int) -> None:
    """Writes ``samples/<step>.png`` below ``out``: rows of reference, restored and original, held-out crops."""
    random = np.random.default_rng(1)
    rows = examples.held_out[:: max(1, len(examples.held_out) // COUNT)][:COUNT]
    batch = examples.batch(rows, examples.latents.shape[-1], random, validating=True)
    restored = restore(networks, batch["condition"], batch["tokens"], examples.kept)
    originals = examples.latents[rows, 0].float()
    columns = [decoder(latent).clamp(-1, 1) for latent in (batch["condition"], restored, originals)]
    sheet = torch.cat([torch.cat(list(column), 1) for column in columns], 2)  # 3,rows·H,columns·W
    pixels = ((sheet.movedim(0, -1) + 1) * 127.5).round().byte().numpy()
    folder = out / "samples"
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{step:06d}.png")
