"""Z-Image and Z-Image-Turbo: one stream of caption tokens, filled up to a multiple, and picture cells behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import comfy.ldm.lumina.model
from torch import nn

from .joint import Joint
from .protocol import Read, Run


class ZImage(Joint):
    """Two refining blocks of the picture's own attention run before the layers that are read."""

    name = "Z-Image"
    stride = 3.8  # measured: headless.bench_strides
    tokenizers = frozenset({frozenset({"qwen3_4b"})})

    def fits(self, network: Any) -> bool:
        return type(network) is comfy.ldm.lumina.model.NextDiT and network.pad_tokens_multiple is not None

    def blocks(self, network: Any) -> Sequence[nn.Module]:
        return network.layers

    def others(self, network: Any) -> Sequence[nn.Module]:
        return network.noise_refiner

    def runs(self, clip: Any, rows: Mapping[str, Sequence[Sequence[Any]]]) -> list[Run]:
        return [Run("qwen3_4b", 0, wrapped=True)]

    def places(self, read: Read, length: int) -> tuple[int, int]:
        multiple = read.network.pad_tokens_multiple
        return 0, -(-read.text // multiple) * multiple  # type: ignore[operator]
