"""Qwen-Image: double blocks over the tokens of a language model and the picture; latents with a time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import comfy.ldm.qwen_image.model
from torch import nn

from .joint import Joint
from .protocol import Run

BEGIN, USER, NEWLINE = 151644, 872, 198  # <|im_start|>, "user", "\n"


class QwenImage(Joint):
    """The text encoder leaves its instructions out, up to where the person's own text begins."""

    name = "Qwen-Image"
    stride = 4.0  # measured: headless.bench_strides
    tokenizers = frozenset({frozenset({"qwen25_7b"})})
    side = 1280

    def fits(self, network: Any) -> bool:
        return type(network) is comfy.ldm.qwen_image.model.QwenImageTransformer2DModel

    def blocks(self, network: Any) -> Sequence[nn.Module]:
        return network.transformer_blocks

    def runs(self, clip: Any, rows: Mapping[str, Sequence[Sequence[Any]]]) -> list[Run]:
        row = list(rows["qwen25_7b"][0])
        begins = [place for place, token in enumerate(row) if token == BEGIN][:2]
        start = begins[-1] if begins else 0
        if row[start + 1 : start + 3] == [USER, NEWLINE]:
            start += 3
        return [Run("qwen25_7b", -start, wrapped=True)]
