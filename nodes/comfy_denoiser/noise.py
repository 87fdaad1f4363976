"""What x means at a noise level is the model's own: asked of its ``model_sampling``, never assumed."""

from __future__ import annotations

from typing import Any

import comfy.model_sampling
from torch import Tensor

from ...sedic.restoration.fusion import Noising


def noising(model: Any) -> Noising:
    """How a MODEL lays noise over a clean latent: x0 + σε in Stable Diffusion, (1 − σ)x0 + σε in flow models."""
    return noising_by(model.get_model_object("model_sampling"))


def noising_by(model_sampling: Any) -> Noising:
    """That of ComfyUI's ``model_sampling``."""

    def noised(latent: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        return model_sampling.noise_scaling(sigma, noise, latent)

    return noised


def is_flow(model: Any) -> bool:
    """Whether x = (1 − σ)x0 + σε in a MODEL; ComfyUI's own samplers ask the same."""
    return isinstance(model.get_model_object("model_sampling"), comfy.model_sampling.CONST)
