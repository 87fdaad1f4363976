"""Eq. 3: moving the latent so that an object's attention falls into its mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import SedicError
from .denoiser import Denoiser
from .energy import mean_energy
from .settings import GuidanceSettings


class GuidanceError(SedicError, FloatingPointError):
    """A guided step left the range of numbers."""


@dataclass(frozen=True)
class Guidance:
    """One object's guidance.

    Attributes:
        mask: M, (H, W) in {0, 1}, in pixels of the picture that is restored; (B, H, W) where B latents are.
        tokens: k, positions in the prompt of the words that are guided: the object's name, or others (``tokens``).
        settings: η, T′ and the rest.
    """

    mask: Tensor
    tokens: tuple[int, ...]
    settings: GuidanceSettings = GuidanceSettings()

    def of(self, index: int) -> Guidance:
        """That of one picture of several, counted from 0."""
        return replace(self, mask=self.mask[index]) if self.mask.ndim == 3 else self


def energy_of(denoiser: Denoiser, x: Tensor, sigma: Tensor, guidance: Guidance) -> Tensor:
    """E(A, M, k) of the attention at ``x``, (1, C, h, w), and ``sigma``: a scalar, differentiable in ``x``."""
    settings = guidance.settings
    maps = denoiser.attention(x, sigma, settings.layers, settings.through_control)
    return mean_energy(maps, guidance.mask, guidance.tokens, settings.reduction)


def guide(
    denoiser: Denoiser, x: Tensor, sigma: Tensor, guidance: Guidance, watch: Callable[[float], None] | None = None
) -> Tensor:
    """Eq. 3, repeated while the energy is above the threshold: z ← z − η ∇_z E.

    The paper's z preserves variance, the denoiser's x = a·x0 + b·ε need not: x = s·z with s² = a² + b², for then z has
    variance 1 where x0 and ε have. By the chain rule ∇_z E = s ∇ₓE, so that the same step reads x ← x − η s² ∇ₓE: with
    1 + σ² where variance explodes (a = 1, b = σ), with (1 − σ)² + σ² in a flow model (a = 1 − σ, b = σ).

    Args:
        denoiser: gives the attention.
        x: latent, (B, C, h, w); several are guided one after the other, each by its own mask if it has one.
        sigma: its noise level, scalar.
        guidance: mask, tokens, settings.
        watch: told every energy that is computed.

    Returns:
        The moved latent, without gradient.

    Raises:
        GuidanceError: the gradient is not finite.
    """
    if len(x) > 1:
        moved = []
        for index, one in enumerate(x.split(1)):
            own = guidance.of(index)
            moved.append(guide(denoiser.picture(index), one, sigma, own, watch) if bool(own.mask.any()) else one)
        return torch.cat(moved)
    settings = guidance.settings
    for _ in range(settings.updates):
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            energy = energy_of(denoiser, leaf, sigma, guidance)
            value = energy.item()
            if watch:
                watch(value)
            if value <= settings.threshold:
                break
            (gradient,) = torch.autograd.grad(energy, leaf)
        if not bool(torch.isfinite(gradient).all()):
            raise GuidanceError("The guidance gradient is not finite; lower eta or turn guidance off for this model.")
        x = x - settings.eta * denoiser.stride * _variance(denoiser, sigma) * gradient
    return x


def _variance(denoiser: Denoiser, sigma: Tensor) -> Tensor:
    """s² = a² + b² of x = a·x0 + b·ε at ``sigma``, asked of the denoiser itself."""
    one, zero = torch.ones_like(sigma), torch.zeros_like(sigma)
    return denoiser.noised(one, sigma, zero) ** 2 + denoiser.noised(zero, sigma, one) ** 2
