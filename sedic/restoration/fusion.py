"""Eq. 4: keeping everything outside an object as the stage before left it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .energy import mask_on_grid

Noising = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Told a clean latent, a noise level and standard normal noise, gives x there: what x means is the model's own."""


@dataclass(frozen=True)
class Trajectory:
    """A stage's latents at every noise level.

    Attributes:
        sigmas: falling noise levels, (n + 1,), the last one 0.
        latents: x at each of them, n + 1 tensors (1, C, h, w); only the last of a stage with which none is fused.
    """

    sigmas: Tensor
    latents: tuple[Tensor, ...]

    @classmethod
    def of_latent(cls, latent: Tensor, sigmas: Tensor, noise: Tensor, noised: Noising) -> Trajectory:
        """A clean latent as if it had been restored: with ``noise`` at each σ, clean at 0 (before object 1)."""
        return cls(sigmas, tuple(noised(latent, sigma, noise) for sigma in sigmas))


@dataclass(frozen=True)
class Fusion:
    """What to keep from the stage before.

    Attributes:
        mask: M_j, (H, W) in {0, 1}, in pixels of the picture: 1 where this stage's own latent is used; (B, H, W) where
            B latents are restored.
        previous: the trajectory of stage j − 1, or a clean latent (1, C, h, w) that stands for one.
        soft_edge: latent cells over which this stage fades into the one before, outwards from the mask.
    """

    mask: Tensor
    previous: Trajectory | Tensor
    soft_edge: int = 0


def fuse(current: Tensor, previous: Tensor, mask: Tensor) -> Tensor:
    """M ⊙ z_j + (1 − M) ⊙ z_{j−1} (Eq. 4); both latents (1, C, h, w) at one noise level, mask (h, w)."""
    return mask * current + (1 - mask) * previous


def previous_trajectory(fusion: Fusion, sigmas: Tensor, noise: Tensor, noised: Noising) -> Trajectory:
    """The trajectory to fuse with, on this stage's noise levels.

    Args:
        fusion: mask and previous stage.
        sigmas: this stage's noise levels.
        noise: standard normal, for a previous stage that is a clean latent.
        noised: the model's own way to lay it over that latent.

    Raises:
        ValueError: the stages run on different noise levels or latent sizes.
    """
    previous = fusion.previous
    if isinstance(previous, Tensor):
        previous = Trajectory.of_latent(previous.to(noise), sigmas, noise, noised)
    if previous.latents[-1].shape != noise.shape:
        before, now = tuple(previous.latents[-1].shape), tuple(noise.shape)
        raise ValueError(f"The previous stage's latent is {before}, this one's {now}; restore all objects at one size.")
    if len(previous.sigmas) != len(sigmas) or not torch.equal(previous.sigmas.cpu(), sigmas.cpu()):
        raise ValueError(
            f"The previous stage ran {_grid(previous.sigmas)}, this one {_grid(sigmas)}; give all object stages the "
            "same steps and scheduler."
        )
    return previous


def latent_mask(mask: Tensor, x: Tensor, soft_edge: int = 0) -> Tensor:
    """A picture's mask on the latent grid of ``x``, (h, w) in [0, 1], same device and dtype.

    Of several pictures' masks, (B, H, W), it is (B, 1, h, w), with as many axes as x has.
    Outside the mask it falls to 0 in ``soft_edge`` equal steps, one a cell. Inside it stays 1, so that an object is its
    own stage's to the edge, however small it is. In between the noise of two stages is mixed and its deviation falls
    to 0.7 of what the level asks for, which softens the rim: an edge of 1 or 2 hides a seam, more blurs.
    """
    if mask.ndim == 3:
        masks = torch.stack([latent_mask(one, x, soft_edge) for one in mask])
        return masks.reshape(len(masks), *[1] * (x.ndim - 3), *masks.shape[1:])
    grown = mask_on_grid(mask, (x.shape[-2], x.shape[-1])).to(x)
    total = grown.clone()
    for _ in range(soft_edge):
        grown = F.max_pool2d(grown[None], 3, stride=1, padding=1)[0]
        total += grown
    return total / (soft_edge + 1)


def kept(x: Tensor) -> Tensor:
    """A latent as a trajectory keeps it: in half precision, unless that overflows.

    What is lost lies outside the next stage's mask only, is below one 8-bit level in the picture, and does not add up:
    every step fuses anew.
    """
    half = x.half()
    return half if bool(torch.isfinite(half).all()) else x


def _grid(sigmas: Tensor) -> str:
    return f"{len(sigmas) - 1} steps from sigma {sigmas[0].item():.3f} (second {sigmas[1].item():.3f})"
