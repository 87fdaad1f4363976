"""Algorithm 1's inner loop as a ComfyUI SAMPLER."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import comfy.k_diffusion.sampling
import comfy.model_management
import comfy.samplers
import torch
from torch import Tensor

from ...sedic.restoration.fusion import Fusion, Trajectory
from ...sedic.restoration.guidance import Guidance
from ...sedic.restoration.solvers import Solver
from ...sedic.restoration.stages import restore
from ...sedic.restoration.starts import stage_noise
from .denoiser import ComfyDenoiser
from .gradients import GradientError, no_way_back
from .latents import latents_of
from .masks import masks_of


def stage_sampler(
    solver: Solver,
    guidance: Guidance | None = None,
    fusion: Fusion | None = None,
    seed: int | None = None,
    record: Callable[[Trajectory], None] | None = None,
    checkpoint: bool = False,
    **loop: Any,
) -> comfy.samplers.KSAMPLER:
    """One stage as a SAMPLER.

    Args:
        solver: the step between noise levels.
        guidance, fusion: None leaves Eq. 3 or Eq. 4 out.
        seed: of the reference's noise; None takes the sampler's own.
        record: given the trajectory when the stage is done.
        checkpoint: whether guided passes keep few activations and compute the others twice.
        loop: passed on to :func:`~sedic.restoration.stages.restore`.
    """

    def sample(
        model: Any, x: Tensor, sigmas: Tensor, extra_args: dict[str, Any], callback: Any = None, disable: Any = None
    ) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            x, sigmas = x.clone(), sigmas.clone()
            told: set[str] = set()

            def note(text: str) -> None:
                if text not in told:  # guidance and fusion have the same mask, and say the same of it
                    told.add(text)
                    loop.get("note", logging.warning)(text)

            denoiser = ComfyDenoiser(model, extra_args, checkpoint, getattr(guidance, "prompt", None), note)
            guide, ready = guidance, fusion
            if guidance is not None:
                guide = replace(guidance, mask=masks_of(guidance.mask, len(x), note))
            if fusion is not None:
                ready = replace(fusion, mask=masks_of(fusion.mask, len(x), note))

            def progress(step: int, denoised: Tensor, x: Tensor) -> None:
                comfy.model_management.throw_exception_if_processing_interrupted()
                if callback:
                    callback(
                        {"i": step, "denoised": denoised, "x": x, "sigma": sigmas[step], "sigma_hat": sigmas[step]}
                    )

            if ready is not None and fusion is not None and not isinstance(fusion.previous, Trajectory):
                latent = fusion.previous["samples"] if isinstance(fusion.previous, dict) else fusion.previous
                latent = latents_of(denoiser.guider.model_patcher).shaped(latent).clone().to(x)
                ready = replace(ready, previous=denoiser.guider.inner_model.process_latent_in(latent))
            noise = stage_noise(x, extra_args.get("seed", 0) if seed is None else seed, 0)
            # The stock sampler's own noise, so that an ancestral stage without guidance is its, bit for bit.
            fresh = partial(comfy.k_diffusion.sampling.default_noise_sampler, x, extra_args.get("seed"))
            try:
                trajectory = restore(
                    denoiser, x, sigmas, solver, guide, ready, noise, progress, fresh, **loop | {"note": note}
                )
            except RuntimeError as error:
                reason = no_way_back(error)
                if guidance is None or reason is None:
                    raise
                raise GradientError(
                    f"There is no way back through this model ({reason}); unplug guidance, or set if_unguidable to go "
                    "on."
                ) from error
            if record:
                record(trajectory)
            return trajectory.latents[-1]

    return comfy.samplers.KSAMPLER(sample)
