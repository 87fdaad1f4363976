"""Batches in the stages: every picture is restored by itself, with its own masks, words and hints.

Each is what it would be alone, noise included, and takes the memory of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..sedic.errors import SedicError
from ..sedic.restoration.fusion import Fusion, Trajectory
from ..sedic.restoration.guidance import Guidance
from ..sedic.restoration.starts import stage_noise
from .comfy_denoiser import masks_of, noising, with_pictures

Steering = TypeVar("Steering", Guidance, Fusion)


@dataclass
class Part:
    """One picture of a batch: finds its own among what is wired to a stage.

    Attributes:
        index: the picture, counted from 0, of ``count``.
        note: told what the person who waits should know.
    """

    index: int
    count: int
    note: Callable[[str], None]
    _controls: dict[int, Any] = field(default_factory=dict)

    def of(self, batch: Tensor, what: str) -> Tensor:
        """Its own of a batch, (1, …): of one for every picture, or one for all.

        Raises:
            SedicError: there are others in number.
        """
        if self.count == 1 or len(batch) == 1:
            return batch
        if len(batch) != self.count:
            raise SedicError(
                f"There are {len(batch)} {what} for {self.count} pictures; wire one for each picture, or one for all."
            )
        return batch[self.index : self.index + 1]

    def reference(self, colors: Tensor | None) -> Tensor | None:
        """Its own picture whose colours are kept, if they are."""
        return None if colors is None else self.of(colors, "references")

    def steering(self, steering: Steering | None) -> Steering | None:
        """Guidance or fusion with this picture's mask, and what its stage before has left."""
        if steering is None:
            return None
        masks = masks_of(steering.mask, self.count, self.note)
        steering = replace(steering, mask=masks if masks.ndim == 2 else masks[self.index])
        if isinstance(steering, Fusion):
            return replace(steering, previous=self._previous(steering.previous))
        return steering

    def _previous(self, previous: Any) -> Any:
        if previous is None:  # behind a bypassed stage: the picture restored so far, which the stage knows
            return None
        if isinstance(previous, Tensor):
            return self.of(previous, "pictures to fuse with")
        if isinstance(previous, dict):
            return previous | {"samples": self.of(previous["samples"], "latents to fuse with")}
        if self.count == 1 or len(previous.latents[-1]) == 1:
            return previous
        return replace(previous, latents=tuple(self.of(x, "latents to fuse with") for x in previous.latents))

    def model(self, model: Any) -> Any:
        """A MODEL whose control patches see this picture of theirs."""
        return model if self.count == 1 else with_pictures(model, lambda own: self.of(own, "pictures to control with"))

    def conditioning(self, conditioning: Any) -> Any:
        """A CONDITIONING with this picture's of whatever it has one for each picture of."""
        if self.count == 1:
            return conditioning
        return [
            [self._own(tensor), {key: self._own(value) for key, value in options.items()}]
            for tensor, options in conditioning
        ]

    def _own(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.of(value, "") if value.ndim > 1 and len(value) == self.count else value
        if not hasattr(value, "cond_hint_original"):
            return value
        if id(value) not in self._controls:  # both halves share one ControlNet: only then they run as one batch
            control = value.copy()
            control.cond_hint_original = self._own(value.cond_hint_original)
            if value.previous_controlnet is not None:
                control.set_previous_controlnet(self._own(value.previous_controlnet))
            self._controls[id(value)] = control
        return self._controls[id(value)]


def together(parts: Sequence[tuple[Any, Any, Tensor]], model: Any, seed: int) -> tuple[Any, Any, Tensor]:
    """(latent, trajectory, picture) of a batch, of those of its pictures.

    A picture without an object passes through, and may have left a LATENT in place of a trajectory: where others have
    one, it gets the trajectory that the next stage would have made of it.
    """
    if len(parts) == 1:
        return parts[0]
    latents, trajectories, pictures = zip(*parts, strict=True)
    samples = {"samples": torch.cat([latent["samples"] for latent in latents])}
    restored = next((one for one in trajectories if isinstance(one, Trajectory)), None)
    if restored is None:
        return samples, {"samples": torch.cat([one["samples"] for one in trajectories])}, torch.cat(pictures)
    levels = restored.sigmas
    full = []
    for one in trajectories:
        if not isinstance(one, Trajectory):
            latent = model.get_model_object("latent_format").process_in(one["samples"])
            one = Trajectory.of_latent(latent, levels, stage_noise(latent, seed, 0), noising(model))
        if not torch.equal(one.sigmas, levels):
            raise SedicError(
                "Of this batch some pictures have no object here, and their stage before ran other noise levels; give "
                "all object stages the same steps and scheduler."
            )
        full.append(one)
    joined = tuple(torch.cat(step) for step in zip(*(one.latents for one in full), strict=True))
    return samples, Trajectory(levels, joined), torch.cat(pictures)
