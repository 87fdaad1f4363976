"""Eq. 3: moving the latent so that an object's attention falls into its mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SedicError
from .denoiser import ATTENTION_LAYERS, CONTROL_LAYERS, Denoiser
from .energy import REDUCTIONS, mean_energy


class GuidanceError(SedicError, FloatingPointError):
    """A guided step left the range of numbers."""


@dataclass(frozen=True)
class GuidanceSettings:
    """How strongly and how long to guide; the one place for these defaults.

    Attributes:
        eta: step size η of Eq. 3 (the paper: 30 to 50 work well, 40 by default).
        t_prime: T′ as a fraction of T; guided while t / T > T′. The paper does not give it; the first fifth of
            the steps follows ref. [41].
        updates: most inner updates a step (ref. [41]: 5).
        threshold: inner updates end when the energy falls to it (ref. [41]: 0.2).
        layers: which cross-attention is read, some of :data:`~.denoiser.ATTENTION_LAYERS`.
        through_control: whether the gradient also goes through the ControlNet; without it an update costs less.
        reduction: of the energies of several tokens, one of :data:`~.energy.REDUCTIONS`.

    Raises:
        SedicError: a choice that does not exist, or the ControlNet's layers without a gradient through it.
    """

    eta: float = 40.0
    t_prime: float = 0.8
    updates: int = 5
    threshold: float = 0.2
    layers: tuple[str, ...] = ATTENTION_LAYERS[:1]
    through_control: bool = True
    reduction: str = REDUCTIONS[0]

    def __post_init__(self) -> None:
        unknown = [name for name in self.layers if name not in ATTENTION_LAYERS]
        if unknown or not self.layers:
            raise SedicError(f"There are no layers {unknown}; choose one or more of {', '.join(ATTENTION_LAYERS)}.")
        if self.reduction not in REDUCTIONS:
            raise SedicError(f"There is no energy reduction {self.reduction!r}; use one of {', '.join(REDUCTIONS)}.")
        if CONTROL_LAYERS in self.layers and not self.through_control:
            raise SedicError(
                "The ControlNet's own layers are read with a gradient through the ControlNet; turn that on, or leave "
                "those layers out."
            )

    def active(self, step: int, steps: int) -> bool:
        """Whether ``step`` of ``steps`` is guided; t / T counts down from 1 with the steps, whatever the schedule."""
        return self.eta > 0 and (steps - step) / steps > self.t_prime


@dataclass(frozen=True)
class Guidance:
    """One object's guidance.

    Attributes:
        mask: M, (H, W) in {0, 1}, in pixels of the picture that is restored.
        tokens: k, positions in the prompt of the words that are guided: the object's name, or others (``tokens``).
        settings: η, T′ and the rest.
    """

    mask: Tensor
    tokens: tuple[int, ...]
    settings: GuidanceSettings = GuidanceSettings()


def energy_of(denoiser: Denoiser, x: Tensor, sigma: Tensor, guidance: Guidance) -> Tensor:
    """E(A, M, k) of the attention at ``x``, (1, C, h, w), and ``sigma``: a scalar, differentiable in ``x``."""
    settings = guidance.settings
    maps = denoiser.attention(x, sigma, settings.layers, settings.through_control)
    return mean_energy(maps, guidance.mask, guidance.tokens, settings.reduction)


def guide(
    denoiser: Denoiser, x: Tensor, sigma: Tensor, guidance: Guidance, watch: Callable[[float], None] | None = None
) -> Tensor:
    """Eq. 3, repeated while the energy is above the threshold: z ← z − η ∇_z E.

    With x = z √(1 + σ²) the same step reads x ← x − η (1 + σ²) ∇ₓE.

    Args:
        denoiser: gives the attention.
        x: latent, (1, C, h, w).
        sigma: its noise level, scalar.
        guidance: mask, tokens, settings.
        watch: told every energy that is computed.

    Returns:
        The moved latent, without gradient.

    Raises:
        GuidanceError: the gradient is not finite.
    """
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
        x = x - settings.eta * (1 + sigma**2) * gradient
    return x
