"""Whether guidance does what it is for: the energy of Eq. 2 with and without it, object by object."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..codec import default_settings, encode_reference, to_image
from ..evaluation.scenes import described_paths, resized
from ..picture import read_picture
from ..restoration.denoiser import Picture
from ..restoration.fusion import Fusion, Trajectory
from ..restoration.guidance import Guidance, GuidanceSettings, energy_of
from ..restoration.settings import Settings
from ..restoration.solvers import NoiseSampler, solver_named
from ..restoration.stages import restore
from ..restoration.starts import noise_levels_of, pad_to_multiple, stage_noise, step_noise
from ..restoration.words import guided_tokens
from ..semantics import Semantics


@dataclass(frozen=True)
class Scene:
    """A picture's reference, (1, 3, H, W) in [0, 1], and its objects' words and masks, at a size that runs quickly."""

    name: str
    reference: Tensor
    semantics: Semantics


def scenes(folder: Path, count: int, side: int) -> Iterator[Scene]:
    """The first ``count`` pictures of a folder, NAME.png with NAME.json, shrunk to a shorter side of ``side``.

    Raises:
        SedicError: there are none.
    """
    for path in described_paths(folder)[:count]:
        image = read_picture(path)
        height, width = image.shape[:2]
        semantics = Semantics.read(path.with_suffix(".json"), (width, height))
        small, semantics = resized(image, semantics, side / min(height, width))
        reference = to_image(encode_reference(small).picture())
        yield Scene(path.stem, reference, semantics)


@dataclass(frozen=True)
class ObjectStage:
    """One object's stage, ready to run from the reference: everything but the guidance."""

    denoiser: Any
    start: Tensor
    noise: Tensor
    sigmas: Tensor
    fusion: Fusion | None
    guidance: Guidance
    fresh_noise: Callable[[], NoiseSampler]

    def run(
        self, guidance: GuidanceSettings | None, sampler: str, watch: Callable[[int, float], None] | None = None
    ) -> Trajectory:
        """Its trajectory with these settings, or without guidance; ``watch`` is told (step, energy) by every update."""
        chosen = None if guidance is None else replace(self.guidance, settings=guidance)
        return restore(
            self.denoiser, self.start, self.sigmas, solver_named(sampler), chosen, self.fusion, self.noise,
            fresh_noise=self.fresh_noise, watch=watch,
        )  # fmt: skip

    def energy(self, trajectory: Trajectory, level: int, settings: GuidanceSettings) -> float:
        """E of the latent at one of the trajectory's levels, as these settings read it."""
        x, sigma = trajectory.latents[level].float(), trajectory.sigmas[level]
        with torch.no_grad():
            return energy_of(self.denoiser, x, sigma, replace(self.guidance, settings=settings)).item()


def stages(models: Any, scene: Scene, settings: Settings) -> Iterator[ObjectStage]:
    """Every object's stage, each from the reference, so that none depends on another's result."""
    picture = Picture(pad_to_multiple(scene.reference), models.encode)
    noise = stage_noise(picture.latent, settings.seed, 0)
    sigmas = noise_levels_of(lambda n: models.sigmas(settings.scheduler, n), settings.object_steps, settings.sampler)
    for j, o in enumerate(scene.semantics.objects, 1):
        assert o.mask is not None
        mask = pad_to_multiple(torch.from_numpy(o.mask.copy())[None].float())[0]
        tokens = guided_tokens(
            lambda phrase, text=o.prompt: models.token_positions(text, phrase),  # type: ignore[misc]
            o.prompt, o.name, settings.tokens, settings.words,
        )  # fmt: skip
        if not mask.any() or not tokens:
            continue
        denoiser = models.condition(o.prompt, settings.negative, settings.object_scale, picture)
        start = models.start(stage_noise(noise, settings.seed, j), sigmas[0], torch.zeros_like(noise))
        fusion = Fusion(mask, picture.latent, settings.soft_edge) if settings.fuse else None
        fresh = partial(step_noise, noise, settings.seed, j)
        yield ObjectStage(denoiser, start, noise, sigmas, fusion, Guidance(mask, tokens), fresh)


VARIANTS: dict[str, GuidanceSettings] = {
    "defaults": default_settings().guidance,
    "the paper's eta, a fifth of the steps": GuidanceSettings(),
    "guided to the end": GuidanceSettings(t_prime=0.0),
    "to the end, eta 400": GuidanceSettings(t_prime=0.0, eta=400.0),
    "middle block, to the end": GuidanceSettings(t_prime=0.0, layers=("middle block",)),
    "second up block, to the end": GuidanceSettings(t_prime=0.0, layers=("second up block",)),
}
"""What is measured, beside the defaults."""


def energy_table(models: Any, folder: Path, count: int, side: int, variants: Sequence[str]) -> Iterator[str]:
    """A line for each variant: mean energy without guidance and with it, where guidance ends and at the last level.

    Args:
        models: the embedded ones, or others.
        folder, count, side: see :func:`scenes`.
        variants: names of :data:`VARIANTS`.
    """
    settings = default_settings()
    every = [one for scene in scenes(folder, count, side) for one in stages(models, scene, settings)]
    free = [one.run(None, settings.sampler) for one in every]
    columns = f"{'without':>9}{'with':>8}{'ratio':>7}"
    yield f"{'':<46}{'where guidance ends':>24}   {'at the last level':>24}"
    yield f"{'guidance':<38}{'objects':>8}{columns}   {columns}"
    for name in variants:
        guidance = VARIANTS[name]
        guided = [one.run(guidance, settings.sampler) for one in every]
        steps = settings.object_steps
        ends = min(guidance.guided_steps(steps), steps - 1)
        cells = []
        for level in (ends, steps - 1):
            without, used = (
                statistics.fmean(one.energy(t, level, guidance) for one, t in zip(every, some, strict=True))
                for some in (free, guided)
            )
            cells.append(f"{without:>9.3f}{used:>8.3f}{used / without:>7.2f}")
        yield f"{name:<38}{len(every):>8}{cells[0]}   {cells[1]}"
