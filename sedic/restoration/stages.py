"""Algorithm 1: the progressive decoder, over the protocols of ``denoiser``.

:func:`restore` is one stage (lines 6-12, or 15-17 without guidance and fusion); :func:`decode` is the loop over
objects. ComfyUI's graph draws the same loop with wires and calls :func:`restore` in each of its nodes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import SedicError
from ..semantics import Semantics
from .color_fix import fix_colors
from .denoiser import Denoiser, Models, Picture
from .fusion import Fusion, Trajectory, fuse, kept, latent_mask, previous_trajectory
from .guidance import Guidance, GuidanceError, guide
from .settings import Settings
from .solvers import NoiseSampler, Past, Solver, euler, solver_named
from .starts import low_frequencies, noise_levels_of, pad_to_multiple, stage_noise, step_noise
from .tiles import CELL, tiled
from .words import guided_tokens, in_order

FINAL_STAGE = 255

Progress = Callable[[int, Tensor, Tensor], None]
"""Told (step, predicted clean latent, x) after every step."""


class LatentError(SedicError, FloatingPointError):
    """A stage left the range of numbers."""


@dataclass(frozen=True)
class Stage:
    """What a stage leaves behind: its ``name``, picture (1, 3, H, W) in [0, 1] and latent (1, C, h, w)."""

    name: str
    image: Tensor
    latent: Tensor


def restore(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    solver: Solver = euler,
    guidance: Guidance | None = None,
    fusion: Fusion | None = None,
    reference_noise: Tensor | None = None,
    progress: Progress | None = None,
    fresh_noise: Callable[[], NoiseSampler] | None = None,
    keep: bool = True,
    working_size: int = 0,
    cell: int = CELL,
    note: Callable[[str], None] = warnings.warn,
    watch: Callable[[int, float], None] | None = None,
) -> Trajectory:
    """One stage of Algorithm 1: from noise to a clean latent, guided (Eq. 3) and fused (Eq. 4) on the way.

    Where a guided stage leaves the range of numbers it is run again without guidance, and ``note`` is told.

    Args:
        denoiser: the model with this stage's text and condition.
        x: latent at ``sigmas[0]``, (1, C, h, w).
        sigmas: falling noise levels, (n + 1,), the last one 0.
        solver: one of :mod:`.solvers`.
        guidance: None leaves Eq. 3 out.
        fusion: None leaves Eq. 4 out.
        reference_noise: standard normal like ``x``, needed when the stage before is a clean latent.
        progress: told after every step.
        fresh_noise: begins a stream of noise, for solvers that draw some at every step.
        keep: whether a next stage needs the trajectory; without, only its last latent is kept.
        working_size: longest side in pixels that the network sees at once; 0: however large the picture is.
        cell: pixels of the picture's side in a latent cell.
        note: told what the person who waits should know.
        watch: told (step, energy) by every guided update.

    Raises:
        LatentError: the latent is not finite, without guidance.
    """
    denoiser = tiled(denoiser, x, working_size, cell) if working_size else denoiser
    mask, previous = None, None
    if fusion is not None:
        mask = latent_mask(fusion.mask, x, fusion.soft_edge)
        previous = previous_trajectory(
            fusion, sigmas, x if reference_noise is None else reference_noise, denoiser.noised
        )
    begin = x

    def run(guidance: Guidance | None) -> Trajectory:
        x, past, latents = begin, None, [kept(begin)]
        noise = fresh_noise() if fresh_noise else None
        for step, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
            if guidance is not None and guidance.settings.active(step, len(sigmas) - 1):
                x = guide(denoiser, x, sigma, guidance, partial(watch, step) if watch else None)
            seen: list[Tensor] = []

            def denoise(x: Tensor, sigma: Tensor, seen: list[Tensor] = seen) -> Tensor:
                seen.append(denoiser.denoise(x, sigma))
                return seen[-1]

            x_before, x = x, solver(denoise, x, sigma, sigma_next, past, noise)
            past = Past(sigma, seen[0])
            if mask is not None and previous is not None:
                x = fuse(x, previous.latents[step + 1].to(x), mask)
            if not bool(torch.isfinite(x).all()):
                raise LatentError(
                    f"The latent is not finite behind step {step + 1} of {len(sigmas) - 1} (sigma {sigma.item():.3g}); "
                    "run the model in float32 or bfloat16, or with another sampler."
                )
            if keep:
                latents.append(kept(x))
            if progress:
                progress(step, seen[0], x_before)
        return Trajectory(sigmas, (*latents[:-1], x)) if keep else Trajectory(sigmas[-1:], (x,))

    try:
        return run(guidance)
    except (LatentError, GuidanceError) as error:
        if guidance is None:
            raise
        note(f"{str(error).split(';')[0]}: this stage was run again without guidance.")
    return run(None)


def decode(
    models: Models,
    reference: Tensor,
    semantics: Semantics,
    settings: Settings = Settings(),
    until: str = "final",
    progress: Callable[[str], Progress] | None = None,
    so_far: Tensor | None = None,
) -> Iterator[Stage]:
    """Algorithm 1. Yields a :class:`Stage` for each object that has a mask, then ``final``.

    Args:
        models: an autoencoder, text encoder, network and ControlNet.
        reference: Ĩ0, (1, 3, H, W) in [0, 1], any size.
        semantics: texts and masks (H, W) of the reference's size.
        settings: steps, scales, guidance, fusion and the rest.
        until: ``object`` leaves the last stage out.
        progress: given a stage's name, returns what is told about its steps.
        so_far: a picture like ``reference`` that earlier stages have restored of it; None: begin with the reference.
    """
    height, width = reference.shape[-2:]
    first = picture = Picture(pad_to_multiple(reference), models.encode)
    if so_far is not None:
        picture = Picture(pad_to_multiple(so_far), models.encode)
    previous: Trajectory | Tensor = picture.latent
    noise = stage_noise(picture.latent, settings.seed, 0)
    zeros = torch.zeros_like(noise)
    working_size = settings.working_size or models.native_size

    def run(stage: int, name: str, text: str, scale: float, steps: int, condition: Picture, around: Tensor,
            strength: float = 1.0, **steering) -> Trajectory:  # fmt: skip
        sigmas = noise_levels_of(lambda n: models.sigmas(settings.scheduler, n), steps, settings.sampler, strength)
        denoiser = models.condition(text, settings.negative, scale, condition)
        x = models.start(stage_noise(noise, settings.seed, stage), sigmas[0], around)
        return restore(
            denoiser, x, sigmas, solver_named(settings.sampler), reference_noise=noise,
            progress=progress(name) if progress else None,
            fresh_noise=lambda: step_noise(noise, settings.seed, stage), working_size=working_size, **steering,
        )  # fmt: skip

    def to_picture(trajectory: Trajectory) -> Tensor:
        image = models.decode(trajectory.latents[-1])[..., :height, :width]
        return fix_colors(image, reference, settings.detail).clamp(0, 1) if settings.color_fix else image

    stages = [(place, j, o) for place, (j, o) in enumerate(in_order(semantics.objects, settings.order), 1)
              if o.mask is not None and o.mask.any()]  # fmt: skip
    for place, j, scene_object in stages:
        prompt, name = scene_object.prompt, f"object{j}"
        mask = pad_to_multiple(torch.from_numpy(scene_object.mask)[None].float())[0]
        tokens = guided_tokens(
            lambda phrase, prompt=prompt: models.token_positions(prompt, phrase),  # type: ignore[misc]
            prompt, scene_object.name, settings.tokens, settings.words,
        )  # fmt: skip
        trajectory = run(
            place, name, prompt, settings.scale_of(place), settings.object_steps, picture, zeros,
            guidance=Guidance(mask, tokens, settings.guidance) if settings.guide and tokens else None,
            fusion=Fusion(mask, previous, settings.soft_edge) if settings.fuse else None,
            keep=settings.fuse and place < stages[-1][0],
        )  # fmt: skip
        previous = trajectory
        restored = to_picture(trajectory)
        # Padded anew: of the picture, not what the model made of the padding.
        picture = Picture(pad_to_multiple(restored), models.encode)
        yield Stage(name, restored, trajectory.latents[-1])
    if until == "object":
        return
    around = zeros
    if settings.start != "noise":
        around = picture.latent if settings.start == "noised picture" else low_frequencies(picture.latent)
    final = run(
        FINAL_STAGE, "final", semantics.overall, settings.overall_scale, settings.overall_steps,
        first if settings.condition == "reference" else picture, around,
        strength=settings.strength if settings.start == "noised picture" else 1.0, keep=False,
    )  # fmt: skip
    yield Stage("final", to_picture(final), final.latents[-1])
