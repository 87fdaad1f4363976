"""What a stage starts from: noise that every machine draws alike, sizes and noise levels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .solvers import LEAVES_ONE_LEVEL_OUT, NoiseSampler


def stage_seed(seed: int, stage: int) -> int:
    """The seed of a stage's noise: their sum, in 64 bits."""
    return (seed + stage) % 2**64


def stage_noise(latent: Tensor, seed: int, stage: int) -> Tensor:
    """Standard normal noise like ``latent``, drawn on the CPU from seed and stage number (0: the reference)."""
    generator = torch.Generator("cpu").manual_seed(stage_seed(seed, stage))
    return torch.randn(latent.shape, generator=generator, dtype=torch.float32).to(latent)


def step_noise(latent: Tensor, seed: int, stage: int) -> NoiseSampler:
    """The noise that an ancestral solver adds at each step: what the stage's generator draws behind the start."""
    generator = torch.Generator("cpu").manual_seed(stage_seed(seed, stage))

    def draw(*_: Tensor) -> Tensor:
        return torch.randn(latent.shape, generator=generator, dtype=torch.float32).to(latent)

    draw()  # the stage's start
    return draw


def noise_levels_of(schedule: Callable[[int], Tensor], steps: int, sampler: str, strength: float = 1.0) -> Tensor:
    """A stage's noise levels, as ComfyUI's KSampler takes them.

    Args:
        schedule: falling levels for a number of steps, the last one 0.
        steps: of the solver.
        sampler: its name.
        strength: below 1, the levels of a longer run of which only the last ``steps`` are made.
    """
    total = steps if strength > 0.9999 else int(steps / strength)
    if sampler in LEAVES_ONE_LEVEL_OUT:
        sigmas = schedule(total + 1)
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    else:
        sigmas = schedule(total)
    return sigmas[-(steps + 1) :] if total > steps else sigmas


def low_frequencies(latent: Tensor) -> Tensor:
    """The latent without its fine structure: (1, C, h, w), shrunk by four by area and enlarged again."""
    size = (max(1, latent.shape[-2] // 4), max(1, latent.shape[-1] // 4))
    flat = latent.reshape(len(latent), -1, *latent.shape[-2:])  # those of videos have an axis more
    small = F.interpolate(flat, size=size, mode="area")
    large = F.interpolate(small, size=latent.shape[-2:], mode="bilinear", align_corners=False)
    return large.reshape(latent.shape)


def pad_to_multiple(image: Tensor, multiple: int = 64) -> Tensor:
    """Repeats the right and bottom edge of (…, H, W) until both are multiples; :func:`decode` crops it again."""
    bottom, right = -image.shape[-2] % multiple, -image.shape[-1] % multiple
    if not (bottom or right):
        return image
    flat = image.reshape(1, -1, *image.shape[-2:])
    return F.pad(flat, (0, right, 0, bottom), mode="replicate").reshape(
        *image.shape[:-2], image.shape[-2] + bottom, image.shape[-1] + right
    )
