"""What is measured of the embedded models beside the pictures that they restore: the autoencoder alone, energies."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ...codec import to_image, to_pixels
from ...evaluation.kept import Special
from ...evaluation.metrics import Tools
from ...evaluation.variants import Case
from ...restoration.starts import pad_to_multiple
from .. import energy
from . import few

ENERGY, AUTOENCODER, FEW = "energy", "autoencoder", "few steps"
METRICS = ("psnr", "ms_ssim", "ssimulacra2", "distance", "frechet", "kernel", "natural")
"""What the bench takes of every picture."""


def _autoencoder(case: Case, tools: Tools) -> dict[str, Any]:
    """The original through the autoencoder alone."""
    image = to_image(case.scene.pixels)
    decoded = case.models.decode(case.models.encode(pad_to_multiple(image)))
    return tools.figures(case.scene.pixels, to_pixels(decoded[..., : image.shape[-2], : image.shape[-1]]))


def _energy(case: Case, tools: Tools) -> dict[str, Any]:
    """Energies (Eq. 2) of the objects' stages, each from the reference, at the end: without and with guidance."""
    scene = energy.Scene(case.scene.name, to_image(case.reference), case.file.semantics)
    chosen = case.settings.guidance
    last = case.settings.object_steps - 1
    levels = min(chosen.guided_steps(last + 1), last), last
    rows = []
    for stage in energy.stages(case.models, scene, case.settings):
        free, guided = (stage.run(way, case.settings.sampler) for way in (None, chosen))
        rows.append([[stage.energy(run, level, chosen) for run in (free, guided)] for level in levels])
    return {"energies": np.array(rows).reshape(-1, 2, 2)}  # objects, (where guidance ends, last level), (free, guided)


def _few_steps(case: Case, tools: Tools) -> dict[str, Any]:
    """The objects' stages in few steps, guided in several ways, see :mod:`.few`."""
    scene = energy.Scene(case.scene.name, to_image(case.reference), case.file.semantics)
    distance = partial(tools.compare["distance"], case.scene.pixels)
    return {"figures": few.measured(case.models, scene, case.settings, distance)}


SPECIAL: dict[str, Special] = {AUTOENCODER: _autoencoder, ENERGY: _energy, FEW: _few_steps}
"""By the names of what is kept."""
