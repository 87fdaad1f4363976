"""Attention by PyTorch's own kernel, which has a backward, and the end of a pass behind its last layer."""

from __future__ import annotations

import inspect
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

    A UNet is told through its options; ComfyUI gives a ControlNet none, nor a network that a patch brings, which is why
    this reaches into their modules: those that take such options and hold no others that do.
    """

    def override(module: nn.Module, positional: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if len(positional) > (_told(type(module)) or 0):  # told in its turn, by somebody else
            return positional, named
        options = {**named.get("transformer_options", {}), "optimized_attention_override": use_pytorch}
        return positional, {**named, "transformer_options": options}

    handles = [
        module.register_forward_pre_hook(override, with_kwargs=True)
        for module in network.modules()
        if _told(type(module)) and not any(_told(type(inner)) for inner in module.modules() if inner is not module)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


_PLACES: dict[type, int | None] = {}


def _told(kind: type[nn.Module]) -> int | None:
    """Which of its forward pass's arguments, itself the first, are ComfyUI's options; None if none is."""
    if kind not in _PLACES:
        names = list(inspect.signature(kind.forward).parameters)
        _PLACES[kind] = names.index("transformer_options") if "transformer_options" in names else None
    return _PLACES[kind]
