"""What other nodes have put into a MODEL, where a guided pass needs it otherwise than an ordinary one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from .kernels import use_pytorch

LEFT_OUT = ("torch.compile", "easycache", "lazycache")
"""Wrappers of ComfyUI's own nodes that answer in the network's place: a compiled graph, a cache."""


def guided_options(options: dict[str, Any], behind: dict[str, Callable]) -> dict[str, Any]:
    """A guided pass's model options, of the user's: PyTorch's attention, the network itself, the whole latent.

    Args:
        options: a copy of the user's own, which is changed.
        behind: patches that follow the user's, by kind.
    """
    options.pop("context_handler", None)  # its windows of the latent: guidance reads the whole of it
    transformer = options.setdefault("transformer_options", {})
    transformer["optimized_attention_override"] = use_pytorch
    for kind, wrappers in transformer.get("wrappers", {}).items():
        transformer["wrappers"][kind] = {key: some for key, some in wrappers.items() if key not in LEFT_OUT}
    patches = transformer.get("patches", {})
    transformer["patches"] = {kind: [on_copies(patch) for patch in some] for kind, some in patches.items()}
    replaced = transformer.get("patches_replace", {})
    transformer["patches_replace"] = {
        kind: {place: on_copies(function) for place, function in some.items()} for kind, some in replaced.items()
    }
    for kind, patch in behind.items():
        transformer["patches"][kind] = [*transformer["patches"].get(kind, ()), patch]
    return options


def on_copies(patch: Any) -> Any:
    """``patch``, whose writing into tensors reaches nothing that autograd has saved, before it or within it.

    ComfyUI's patches are functions, or (class of a layer, function).
    """
    if isinstance(patch, tuple):
        return tuple(part if isinstance(part, type) else on_copies(part) for part in patch)

    def run(*arguments: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return patch(*arguments, **options)
        with torch.autograd.graph.saved_tensors_hooks(_kept, lambda kept: kept):
            return patch(*map(_copy, arguments), **{name: _copy(value) for name, value in options.items()})

    return run


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) and value.requires_grad else value


def _kept(saved: Tensor) -> Tensor:
    return saved if isinstance(saved, nn.Parameter) else saved.detach().clone()


def cache_forgets(options: dict[str, Any]) -> None:
    """Tells EasyCache or LazyCache that the latent was moved: the next step is computed, and compared with nothing."""
    cache = options.get("transformer_options", {}).get("easycache")
    if cache is not None:
        cache.output_prev_norm, cache.cumulative_change_rate = None, 0.0


def strangers(options: dict[str, Any]) -> list[str]:
    """The keys of wrappers around the network that neither ComfyUI's samplers nor this pack put there."""
    wrappers = options.get("transformer_options", {}).get("wrappers", {})
    kinds = (WrappersMP.APPLY_MODEL, WrappersMP.DIFFUSION_MODEL, WrappersMP.CALC_COND_BATCH)
    return [str(key) for kind in kinds for key, some in wrappers.get(kind, {}).items() if some]
