"""Guidance where a stage has few steps: how many of them are guided, and how often each, at CFG 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from ...codec import to_pixels
from ...restoration.color_fix import fix_colors
from ...restoration.fusion import Trajectory
from ...restoration.settings import GuidanceSettings, Settings, few_steps
from .. import energy

STEPS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Choice:
    """One row: ``steps`` of ``sampler``, the first ``guided`` of them with at most so many ``updates`` each."""

    sampler: str
    steps: int
    guided: int = 0
    updates: int = 0

    def guidance(self, settings: GuidanceSettings) -> GuidanceSettings | None:
        """Its guidance, the rest as in ``settings``."""
        if not self.guided:
            return None
        return replace(settings, t_prime=(self.steps - self.guided) / self.steps, updates=self.updates)


def _choices(steps: int) -> Iterator[Choice]:
    """Unguided; as many steps are guided by default, with as many updates; then shares of the steps."""
    yield from (Choice(sampler, steps) for sampler in ("euler", "lcm"))
    plain = GuidanceSettings()
    first, half = plain.guided_steps(steps), -(-steps // 2)
    pairs = ((first, plain.updates), (first, 1), (half, 1), (steps, 1), (steps, 2))
    yield from (Choice("lcm", steps, guided, updates) for guided, updates in dict.fromkeys(pairs))


CHOICES = tuple(choice for steps in STEPS for choice in _choices(steps))
FIGURES = ("energy", "updates", "distance")


def measured(models: Any, scene: energy.Scene, settings: Settings, distance: Callable[[np.ndarray], float]
             ) -> np.ndarray:  # fmt: skip
    """(objects, :data:`CHOICES`, :data:`FIGURES`): every object's stage, from the reference, in each of these ways.

    Args:
        models: the embedded ones, or others.
        scene: reference, words, masks.
        settings: all that is no choice.
        distance: of a picture, (H, W, 3) uint8, to the original.
    """
    probe = models.sigmas(settings.scheduler, 2)[1]  # in the middle: there the finished latents' attention is read
    height, width = scene.reference.shape[-2:]

    def picture(latent: Tensor) -> np.ndarray:
        image = models.decode(latent)[..., :height, :width]
        return to_pixels(fix_colors(image, scene.reference, settings.detail) if settings.color_fix else image)

    def figures(stage: energy.ObjectStage, choice: Choice) -> list[float]:
        seen: list[float] = []
        chosen = choice.guidance(settings.guidance)
        latent = stage.run(chosen, choice.sampler, lambda _, value: seen.append(value)).latents[-1]
        read = chosen or settings.guidance
        again = Trajectory(probe[None], (latent + probe * stage.noise,))
        updates = sum(value > read.threshold for value in seen)
        return [stage.energy(again, 0, read), updates, distance(picture(latent))]

    columns = []
    for choice in CHOICES:
        own = replace(few_steps(settings, choice.steps), sampler=choice.sampler, guidance=settings.guidance)
        columns.append([figures(stage, choice) for stage in energy.stages(models, scene, own)])
    return np.array(columns).reshape(len(CHOICES), -1, len(FIGURES)).swapaxes(0, 1)
