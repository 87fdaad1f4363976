"""Weights that ComfyUI casts or moves for each layer: kept for the backward pass as they are stored, not as cast.

Autograd keeps the weight that a layer was computed with. Where that is a copy (another precision than the stored one,
or a part of the model that lives in the machine's memory), a guided pass would fill the card with the whole model once
more. Here a layer keeps nothing and makes its copy again on the way back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import comfy.ops
import torch
from torch import Tensor, nn

_PLAIN = {
    kind: getattr(comfy.ops.disable_weight_init, kind).forward_comfy_cast_weights for kind in ("Linear", "Conv2d")
}


@contextmanager
def transient_weights(network: nn.Module) -> Iterator[None]:
    """While it lasts, ``network``'s matrices and convolutions that cast their weights keep no copy of them.

    May be nested: layers whose forward is replaced already are left as they are.
    """
    casting = [module for module in network.modules() if _casts(module) and "forward" not in vars(module)]
    for module in casting:
        kind = _Linear if isinstance(module, nn.Linear) else _Convolution
        module.forward = partial(_apply, kind, module)
    try:
        yield
    finally:
        for module in casting:
            del module.forward


def _casts(module: Any) -> bool:
    """Whether this is ComfyUI's own layer, and computes with a copy of its weight."""
    plain = getattr(type(module), "forward_comfy_cast_weights", None)
    if plain not in _PLAIN.values() or getattr(module, "padding_mode", "zeros") != "zeros":
        return False
    return bool(module.comfy_cast_weights or module.weight_function or module.bias_function)


def _apply(kind: type[torch.autograd.Function], module: nn.Module, x: Tensor) -> Tensor:
    return kind.apply(x, module)


@contextmanager
def _cast(module: Any, like: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    weight, bias, stream = comfy.ops.cast_bias_weight(module, like, offloadable=True)
    yield weight, bias
    comfy.ops.uncast_bias_weight(module, weight, bias, stream)


class _Linear(torch.autograd.Function):
    """y = x Wᵀ + b."""

    @staticmethod
    def forward(context: Any, x: Tensor, module: Any) -> Tensor:
        context.module = module
        with _cast(module, x) as (weight, bias):
            return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        with _cast(context.module, gradient) as (weight, _):
            return gradient @ weight, None


class _Convolution(torch.autograd.Function):
    """A two-dimensional convolution with zero padding."""

    @staticmethod
    def forward(context: Any, x: Tensor, module: Any) -> Tensor:
        context.module, context.size = module, x.shape
        with _cast(module, x) as (weight, bias):
            return module._conv_forward(x, weight, bias)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        module = context.module
        with _cast(module, gradient) as (weight, _):
            return (
                torch.nn.grad.conv2d_input(
                    context.size, weight, gradient, module.stride, module.padding, module.dilation, module.groups
                ),
                None,
            )
