"""Flux.1: double blocks that attend over text and picture, then single ones; T5's tokens are what it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import comfy.ldm.flux.model
from torch import nn

from ....sedic.restoration.settings import THIRDS
from .joint import Joint
from .protocol import Read, Run


class Flux(Joint):
    """Its 19 double blocks are a third of its 57, so that any third of them ends early enough."""

    name = "Flux.1"
    stride = 3.4  # measured: headless.bench_strides
    tokenizers = frozenset({frozenset({"l", "t5xxl"})})
    own_layers = THIRDS[1]
    adds_in_place = True

    def fits(self, network: Any) -> bool:
        if type(network) is not comfy.ldm.flux.model.Flux:
            return False
        # Flux 2 and others of the class share one modulation between blocks, or have no pooled text.
        return not network.params.global_modulation and network.vector_in is not None

    def blocks(self, network: Any) -> Sequence[nn.Module]:
        return network.double_blocks

    def places(self, read: Read, length: int) -> tuple[int, int]:
        cells = -(-read.latent[0] // 2) * -(-read.latent[1] // 2)
        style = 0 if read.references else length - read.text - cells  # tokens that a node puts before the text
        return style, style + read.text

    def runs(self, clip: Any, rows: Mapping[str, Sequence[Sequence[Any]]]) -> list[Run]:
        return [Run("t5xxl", 0)]
