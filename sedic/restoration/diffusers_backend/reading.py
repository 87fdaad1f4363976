"""Reading the cross-attention of diffusers' networks: which modules, and what stands in for their processors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import SedicError
from ..denoiser import CONTROL_LAYERS, attention_weights


class Stop(Exception):
    """The last module that is read has been."""


class Recorder:
    """An attention processor that keeps the weights of the wrapped module's forward pass."""

    def __init__(self, original: Any):
        self.original, self.weights, self.last = original, torch.empty(0), False

    def __call__(self, attention: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, **_: Any) -> Tensor:
        query, key = attention.to_q(hidden_states), attention.to_k(encoder_hidden_states)
        self.weights = attention_weights(query, key, attention.heads)
        if self.last:
            raise Stop
        return self.original(attention, hidden_states, encoder_hidden_states=encoder_hidden_states)


def attention_modules(unet: nn.Module, controlnet: nn.Module | None, layers: Sequence[str]) -> list[Any]:
    """The cross-attention modules of the chosen blocks, in the order in which they run.

    Raises:
        SedicError: the model has no such block.
    """
    choices: dict[str, list[Any]] = {}
    if controlnet is not None:
        downs = [block for block in controlnet.down_blocks if _attends(block)]  # type: ignore[union-attr]
        choices[CONTROL_LAYERS] = [*downs[-1:], controlnet.mid_block]
    choices["middle block"] = [unet.mid_block]
    ups = [block for block in unet.up_blocks if _attends(block)]  # type: ignore[union-attr]
    choices |= {f"{rank} up block": [block] for rank, block in zip(("first", "second"), ups, strict=False)}
    absent = [name for name in layers if name not in choices]
    if absent:
        raise SedicError(f"This model has no {absent[0]} with cross-attention; choose from {', '.join(choices)}.")
    return [
        transformer.attn2
        for name, blocks in choices.items()
        if name in layers
        for block in blocks
        for attention in block.attentions
        for transformer in attention.transformer_blocks
    ]


def _attends(block: Any) -> bool:
    return bool(getattr(block, "has_cross_attention", False))
