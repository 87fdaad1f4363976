"""Attention by PyTorch's own kernel, which has a backward, and the end of a pass behind its last layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.ldm.modules.attention
from torch import Tensor, nn


class Stop(Exception):
    """The last layer has been read: what lies behind it is not computed."""


def use_pytorch(_: Any, *arguments: Any, **options: Any) -> Tensor:
    """ComfyUI's ``optimized_attention_override`` that makes attention PyTorch's: other kernels have no backward."""
    options.pop("transformer_options", None)
    return comfy.ldm.modules.attention.attention_pytorch(*arguments, **options)


@contextmanager
def pytorch_attention(network: nn.Module) -> Iterator[None]:
    """Makes the attention in ``network`` PyTorch's own: other kernels have no backward.

    A UNet is told through its options; ComfyUI gives a ControlNet none, which is why this reaches into its modules.
    """

    def override(_: nn.Module, positional: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        options = {**named.get("transformer_options", {}), "optimized_attention_override": use_pytorch}
        return positional, {**named, "transformer_options": options}

    handles = [
        module.register_forward_pre_hook(override, with_kwargs=True)
        for module in network.modules()
        if isinstance(module, comfy.ldm.modules.attention.CrossAttention)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
