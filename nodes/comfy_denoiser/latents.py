"""What a model's latents are like, asked of the model and of the VAE that is wired beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...sedic.errors import SedicError
from ...sedic.restoration.tiles import GRID
from .families import family_of

UNIT = 64  # pixels: a UNet halves three times
BEYOND = 1024  # side in pixels of models of no family here


@dataclass(frozen=True)
class Latents:
    """Latents of one picture.

    Attributes:
        channels: C.
        cell: pixels of the picture's side in one of their cells.
        frames: whether they have a time axis, of one frame here.
    """

    channels: int
    cell: int = 8
    frames: bool = False

    @property
    def unit(self) -> int:
        """The multiple of pixels that a picture's sides are filled up to."""
        return max(UNIT, GRID * self.cell)

    def zeros(self, height: int, width: int) -> Tensor:
        """That of a picture of so many pixels, (1, C, h, w) or (1, C, 1, h, w)."""
        size = (height // self.cell, width // self.cell)
        return torch.zeros(1, self.channels, *([1] if self.frames else []), *size)

    def shaped(self, latent: Tensor) -> Tensor:
        """A LATENT's tensor with the axes that the model works on."""
        return latent[:, :, None] if self.frames and latent.ndim == 4 else latent


def cell_of(vae: Any) -> Any:
    """Pixels of the picture's side in one cell of a VAE's latents; 8 where there is none, or one that does not tell."""
    return vae.spacial_compression_encode() if hasattr(vae, "spacial_compression_encode") else 8


def latents_of(model: Any, vae: Any = None) -> Latents:
    """Those of a MODEL.

    Args:
        model: ComfyUI's.
        vae: beside it; tells how many pixels are in a cell, 8 without.

    Raises:
        SedicError: it does not make pictures, or not of whole cells; or the VAE is another model's.
    """
    latent_format, name = model.get_model_object("latent_format"), type(model.model).__name__
    dimensions, channels = getattr(latent_format, "latent_dimensions", 2), latent_format.latent_channels
    cell = cell_of(vae)
    if dimensions not in (2, 3) or not isinstance(cell, int) or UNIT % cell:
        raise SedicError(f"This model, of ComfyUI's class {name}, has no latents of pictures; wire a picture's model.")
    own = getattr(vae, "latent_channels", channels)
    if own != channels:
        raise SedicError(f"The VAE makes latents of {own} channels, this model ({name}) of {channels}; wire its own.")
    return Latents(channels, cell, dimensions == 3)


def native_size(model: Any) -> int:
    """The side in pixels that a MODEL was made for."""
    family = family_of(model.get_model_object("diffusion_model"))
    return BEYOND if family is None else family.size(model)
