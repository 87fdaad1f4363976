"""Algorithm 1: the progressive decoder, over the protocols of ``denoiser``.

:func:`restore` is one stage (lines 6-12, or 15-17 without guidance and fusion); :func:`decode` is the loop over
objects. ComfyUI's graph draws the same loop with wires and calls :func:`restore` in each of its nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from ..semantics import Semantics
from .denoiser import Denoiser, Models
from .fusion import Fusion, Trajectory, fuse, latent_mask, previous_trajectory
from .guidance import Guidance, GuidanceSettings, guide
from .solvers import SOLVERS, Solver, euler

NEGATIVE = "low quality, blurry, low-resolution, noisy, unsharp, weird textures"
FINAL_STAGE = 255
CONDITIONS = ("progressive", "reference")
STARTS = ("noise", "low frequencies")

Progress = Callable[[int, Tensor, Tensor], None]
"""Told (step, predicted clean latent, x) after every step."""


@dataclass(frozen=True)
class Settings:
    """How to restore; the one place for these defaults (design: the released code's where the paper is silent).

    Attributes:
        object_steps, overall_steps: solver steps of an object's stage and of the last one.
        object_scale, overall_scale: classifier-free guidance scale of each.
        negative: the negative prompt of all stages.
        sampler: a key of :data:`~.solvers.SOLVERS`.
        scheduler: spacing of the noise levels; ``simple`` and ``karras`` on every denoiser.
        guide: whether Eq. 3 is applied; ``guidance`` says how.
        fuse: whether Eq. 4 is applied.
        condition: of the last stage; ``progressive``: E(I_J), the picture restored so far; ``reference``: E(I_0).
        start: the last stage begins from pure ``noise``, or around the ``low frequencies`` of the picture so far.
        seed: of the noise; with the stage's number it gives the same start on every machine.
    """

    object_steps: int = 10
    overall_steps: int = 20
    object_scale: float = 3.5
    overall_scale: float = 7.0
    negative: str = NEGATIVE
    sampler: str = "euler"
    scheduler: str = "simple"
    guide: bool = True
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    fuse: bool = True
    condition: str = CONDITIONS[0]
    start: str = STARTS[0]
    seed: int = 0


@dataclass(frozen=True)
class Stage:
    """What a stage leaves behind: its ``name``, picture (1, 3, H, W) in [0, 1] and trajectory."""

    name: str
    image: Tensor
    trajectory: Trajectory


def restore(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    solver: Solver = euler,
    guidance: Guidance | None = None,
    fusion: Fusion | None = None,
    reference_noise: Tensor | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """One stage of Algorithm 1: from noise to a clean latent, guided (Eq. 3) and fused (Eq. 4) on the way.

    Args:
        denoiser: the model with this stage's text and condition.
        x: latent at ``sigmas[0]``, (1, C, h, w).
        sigmas: falling noise levels, (n + 1,), the last one 0.
        solver: one of :mod:`.solvers`.
        guidance: None leaves Eq. 3 out.
        fusion: None leaves Eq. 4 out.
        reference_noise: standard normal like ``x``, needed when the stage before is a clean latent.
        progress: told after every step.
    """
    mask, previous = None, None
    if fusion is not None:
        mask = latent_mask(fusion.mask, x)
        previous = previous_trajectory(fusion, sigmas, x if reference_noise is None else reference_noise)
    latents = [x]
    for step, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        if guidance is not None and guidance.settings.active(step, len(sigmas) - 1):
            x = guide(denoiser, x, sigma, guidance)
        seen: list[Tensor] = []

        def denoise(x: Tensor, sigma: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(denoiser.denoise(x, sigma))
            return seen[-1]

        x_before, x = x, solver(denoise, x, sigma, sigma_next)
        if mask is not None and previous is not None:
            x = fuse(x, previous.latents[step + 1].to(x), mask)
        latents.append(x)
        if progress:
            progress(step, seen[0], x_before)
    return Trajectory(sigmas, tuple(latents))


def stage_seed(seed: int, stage: int) -> int:
    """The seed of a stage's noise: their sum, in 64 bits."""
    return (seed + stage) % 2**64


def stage_noise(latent: Tensor, seed: int, stage: int) -> Tensor:
    """Standard normal noise like ``latent``, drawn on the CPU from seed and stage number (0: the reference)."""
    generator = torch.Generator("cpu").manual_seed(stage_seed(seed, stage))
    return torch.randn(latent.shape, generator=generator, dtype=torch.float32).to(latent)


def low_frequencies(latent: Tensor) -> Tensor:
    """The latent without its fine structure: (1, C, h, w), shrunk by four by area and enlarged again."""
    size = (max(1, latent.shape[-2] // 4), max(1, latent.shape[-1] // 4))
    small = F.interpolate(latent, size=size, mode="area")
    return F.interpolate(small, size=latent.shape[-2:], mode="bilinear", align_corners=False)


def pad_to_multiple(image: Tensor, multiple: int = 64) -> Tensor:
    """Repeats the right and bottom edge of (…, H, W) until both are multiples; :func:`decode` crops it again."""
    bottom, right = -image.shape[-2] % multiple, -image.shape[-1] % multiple
    if not (bottom or right):
        return image
    flat = image.reshape(1, -1, *image.shape[-2:])
    return F.pad(flat, (0, right, 0, bottom), mode="replicate").reshape(
        *image.shape[:-2], image.shape[-2] + bottom, image.shape[-1] + right
    )


def decode(
    models: Models,
    reference: Tensor,
    semantics: Semantics,
    settings: Settings = Settings(),
    until: str = "final",
    progress: Callable[[str], Progress] | None = None,
) -> Iterator[Stage]:
    """Algorithm 1. Yields a :class:`Stage` for each object that has a mask, then ``final``.

    Args:
        models: an autoencoder, text encoder, network and ControlNet.
        reference: Ĩ0, (1, 3, H, W) in [0, 1], any size.
        semantics: texts and masks (H, W) of the reference's size.
        settings: steps, scales, guidance, fusion.
        until: ``object`` leaves the last stage out.
        progress: given a stage's name, returns what is told about its steps.
    """
    height, width = reference.shape[-2:]
    padded = pad_to_multiple(reference)
    image = padded
    latent = models.encode(padded)
    trajectory: Trajectory | Tensor = latent
    noise = stage_noise(latent, settings.seed, 0)
    solver = SOLVERS[settings.sampler]
    zeros = torch.zeros_like(noise)

    def run(stage: int, name: str, text: str, scale: float, steps: int, around: Tensor, **steering) -> Trajectory:
        sigmas = models.sigmas(settings.scheduler, steps)
        condition = padded if stage == FINAL_STAGE and settings.condition == "reference" else image
        denoiser = models.condition(text, settings.negative, scale, condition)
        x = models.start(stage_noise(noise, settings.seed, stage), sigmas[0], around)
        tell = progress(name) if progress else None
        return restore(denoiser, x, sigmas, solver, reference_noise=noise, progress=tell, **steering)

    for j, scene_object in enumerate(semantics.objects, 1):
        if scene_object.mask is None or not scene_object.mask.any():
            continue
        mask = pad_to_multiple(torch.from_numpy(scene_object.mask)[None].float())[0]
        tokens = tuple(models.token_positions(scene_object.prompt, scene_object.name))
        guidance = Guidance(mask, tokens, settings.guidance) if settings.guide and tokens else None
        fusion = Fusion(mask, trajectory) if settings.fuse else None
        name = f"object{j}"
        trajectory = run(
            j,
            name,
            scene_object.prompt,
            settings.object_scale,
            settings.object_steps,
            zeros,
            guidance=guidance,
            fusion=fusion,
        )
        restored = models.decode(trajectory.latents[-1])[..., :height, :width]
        image = pad_to_multiple(restored)  # of the picture, not what the model made of the padding
        yield Stage(name, restored, trajectory)
    if until == "object":
        return
    around = low_frequencies(models.encode(image)) if settings.start == "low frequencies" else zeros
    final = run(FINAL_STAGE, "final", semantics.overall, settings.overall_scale, settings.overall_steps, around)
    yield Stage("final", models.decode(final.latents[-1])[..., :height, :width], final)
