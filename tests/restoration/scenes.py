"""Small scenes for Algorithm 1, and its run on the models of ``toy``."""

from __future__ import annotations

import numpy as np
import torch

from sedic.restoration.settings import Settings
from sedic.restoration.stages import decode
from sedic.restoration.starts import stage_noise, step_noise
from sedic.semantics import SceneObject, Semantics

from .toy import ToyModels

FEW = Settings(object_steps=4, overall_steps=3)
SIGMAS = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.0])
MASK = torch.zeros(64, 64)
MASK[16:48, 8:40] = 1
INSIDE = MASK[4::8, 4::8]


def picture(height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def scene(objects: int = 2, height: int = 64, width: int = 64) -> Semantics:
    """Objects side by side, each 16 pixels wide."""
    masks = np.zeros((objects, height, width), bool)
    for j in range(objects):
        masks[j, 16:48, 16 * j : 16 * j + 16] = True
    names = ("cup", "spoon", "saucer")
    return Semantics("a table", tuple(SceneObject(names[j], "shiny" * j, masks[j]) for j in range(objects)))


def run(semantics: Semantics, settings: Settings = FEW, size: tuple[int, int] = (64, 64), **options):
    models = ToyModels()
    return models, list(decode(models, picture(*size), semantics, settings, **options))


def final(settings: Settings, semantics: Semantics | None = None) -> torch.Tensor:
    return run(semantics or scene(), settings)[1][-1].image


def starting_noise() -> torch.Tensor:
    return 4 * stage_noise(torch.zeros(1, 3, 8, 8), 0, 1)


def stream():
    return step_noise(torch.zeros(1, 3, 8, 8), 7, 1)
