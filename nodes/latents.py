"""The latents of a stage and those of the picture alone: stages work on a canvas, the picture padded to whole blocks.

What leaves a stage as LATENT is of the picture's size, so that the core's nodes behind it make a picture of that size,
and what comes in as LATENT is filled up to the canvas again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from ..sedic.restoration.fusion import Fusion
from .comfy_denoiser.latents import Latents, cell_of


def of_picture(latent: Tensor, image: Tensor, vae: Any) -> Tensor:
    """The cells of a stage's latent, (1, C, …, h, w), that lie on the picture, (1, H, W, C), in part or as a whole."""
    rows, columns = (-(-side // cell_of(vae)) for side in image.shape[1:3])
    return latent[..., :rows, :columns].clone()


def over_canvas(fusion: Fusion | None, image: Tensor, vae: Any) -> Fusion | None:
    """Fusion whose LATENT of the picture, if it has one, is filled up to the canvas by its edge; any other as it is."""
    if fusion is None or not isinstance(fusion.previous, dict):
        return fusion
    latent, cell, missing = fusion.previous["samples"], cell_of(vae), []
    block = Latents(latent.shape[1], cell).unit
    for side, there in zip(image.shape[1:3], latent.shape[-2:], strict=True):
        # VAE Encode leaves out what is less than a cell.
        missing.append(-(-side // block) * block // cell - there if there in (side // cell, -(-side // cell)) else 0)
    beside = (0, missing[1], 0, missing[0]) + (0, 0) * (latent.ndim - 4)
    return replace(fusion, previous=fusion.previous | {"samples": F.pad(latent, beside, mode="replicate")})
