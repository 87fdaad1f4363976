"""Families of diffusion models: what guidance must know of each, one file a family, behind one protocol.

A family is found by its network's class and keys, never by a file's name. Nodes, stages and tests know none of them:
they ask :func:`family_of`. What x means at a noise level, how many channels a latent has and how many pixels lie in its
cells is asked of the model itself and of its autoencoder, so that a model of no family here restores all the same, only
unguided.
"""

from __future__ import annotations

from typing import Any

from .flux import Flux
from .protocol import Family, Read, Run
from .qwen_image import QwenImage
from .sd35 import SD35
from .unet import UNet
from .z_image import ZImage

FAMILIES: tuple[Family, ...] = (UNet(), SD35(), Flux(), QwenImage(), ZImage())

__all__ = ["FAMILIES", "Family", "Read", "Run", "family_of", "family_of_clip"]


def family_of(network: Any) -> Family | None:
    """The family of a MODEL's network; None for one that is not known here."""
    return next((family for family in FAMILIES if family.fits(network)), None)


def family_of_clip(names: frozenset[str]) -> Family:
    """The family of a CLIP, by the names of its tokenizers; UNets' for one that is not known here."""
    return next((family for family in FAMILIES if names in family.tokenizers), FAMILIES[0])
