"""Reading cross-attention from ComfyUI's networks, for the length of one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import comfy.ldm.modules.attention
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import Upsample
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...sedic.errors import SedicError
from ...sedic.restoration.denoiser import CONTROL_LAYERS, AttentionMap, attention_grid, attention_weights
from .casting import transient_weights


class Stop(Exception):
    """The last layer has been read: what lies behind it is not computed."""


def unet_layers(network: Any, layers: Sequence[str]) -> list[nn.Module]:
    """The UNet's cross-attention modules that ``layers`` names, in the order in which they run.

    Raises:
        SedicError: the network is no UNet, or has no such block.
    """
    if not hasattr(network, "output_blocks") or not hasattr(network, "middle_block"):
        raise SedicError("Attention guidance reads a UNet's cross-attention, and this model has none; unplug guidance.")
    levels: list[list[nn.Module]] = [[]]
    for block in network.output_blocks:
        levels[-1].extend(_attending(block))
        if any(isinstance(layer, Upsample) for layer in block):
            levels.append([])
    choices = {"middle block": _attending(network.middle_block)}
    choices |= {
        f"{rank} up block": level for rank, level in zip(("first", "second"), filter(None, levels), strict=False)
    }
    absent = [name for name in layers if not choices.get(name) and name != CONTROL_LAYERS]
    if absent:
        raise SedicError(f"This model has no {absent[0]} with cross-attention; choose from {', '.join(choices)}.")
    return [module for name, modules in choices.items() if name in layers for module in modules]


def control_layers(network: Any) -> list[nn.Module]:
    """A ControlNet's own cross-attention: that of its last down block that has any, and of its middle block.

    Empty for a network that is none of a UNet's kind.
    """
    levels: list[list[nn.Module]] = [[]]
    for block in getattr(network, "input_blocks", ()):
        found = _attending(block)
        levels[-1].extend(found)
        if not found and levels[-1]:  # the downsampling between two levels
            levels.append([])
    last = next((level for level in reversed(levels) if level), [])
    return last + _attending(getattr(network, "middle_block", ()))


def _attending(block: Any) -> list[nn.Module]:
    transformers = [layer for layer in block if isinstance(layer, SpatialTransformer)]
    return [inner.attn2 for transformer in transformers for inner in transformer.transformer_blocks]


@contextmanager
def recording(
    modules: Sequence[nn.Module], networks: Iterable[nn.Module], latent: tuple[int, int], maps: list[AttentionMap]
) -> Iterator[None]:
    """While it lasts, a forward pass of ``modules`` adds its weights to ``maps``, and :class:`Stop` follows the last.

    Queries and keys are taken where the module's own projections give them, so that it does not matter what somebody
    else has put in place of the attention itself.

    Args:
        modules: one for each time that one is expected to run.
        networks: in which they are, with the blocks around them that know their height and width.
        latent: (h, w) of the latent.
        maps: filled in the order in which they run.
    """
    blocks = [m for network in networks for m in network.modules() if isinstance(m, SpatialTransformer)]
    queries: dict[nn.Module, Tensor] = {}
    grids: dict[nn.Module, tuple[int, int]] = {}
    handles = []
    for block in blocks:
        read = [inner.attn2 for inner in block.transformer_blocks if inner.attn2 in modules]

        def place(_: nn.Module, inputs: Any, options: Any, read: Sequence[nn.Module] = read) -> None:
            size = (inputs[0] if inputs else options["x"]).shape[-2:]
            grids.update((module, (size[0], size[1])) for module in read)

        if read:
            handles.append(block.register_forward_pre_hook(place, with_kwargs=True))
    for module in dict.fromkeys(modules):

        def keep(_: nn.Module, inputs: Any, query: Tensor, module: nn.Module = module) -> None:
            queries[module] = query

        def read(_: nn.Module, inputs: Any, key: Tensor, module: Any = module) -> None:
            weights = attention_weights(queries.pop(module), key, module.heads)
            grid = grids.get(module, (0, 0))
            if grid[0] * grid[1] != weights.shape[1]:  # somebody gives the layer fewer queries than it has cells
                grid = attention_grid(weights.shape[1], *latent)
            maps.append(AttentionMap(weights, grid))
            if len(maps) == len(modules):
                raise Stop

        handles += [module.to_q.register_forward_hook(keep), module.to_k.register_forward_hook(read)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


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


def use_pytorch(_: Any, *arguments: Any, **options: Any) -> Tensor:
    """ComfyUI's ``optimized_attention_override`` that is :func:`pytorch_attention`'s kernel."""
    options.pop("transformer_options", None)
    return comfy.ldm.modules.attention.attention_pytorch(*arguments, **options)


@contextmanager
def checkpointing(network: nn.Module, read: Sequence[nn.Module]) -> Iterator[None]:
    """While it lasts, ``network``'s layers keep their inputs only and run again in the backward pass.

    Layers that hold one of the ``read`` modules are left as they are; so are single convolutions, which keep nothing
    but their input anyhow.
    """
    layers = []
    for block in [*getattr(network, "input_blocks", ()), *getattr(network, "output_blocks", ())]:
        layers += [m for m in block if any(m.children()) and not any(module in read for module in m.modules())]
    for layer in layers:

        def run(*arguments: Any, layer: nn.Module = layer, forward: Any = layer.forward, **options: Any) -> Any:
            with pytorch_attention(layer), transient_weights(layer):  # also when it runs again, outside the guided pass
                return forward(*arguments, **options)

        def again(*arguments: Any, run: Any = run, **options: Any) -> Any:
            # ComfyUI writes the place of the running block into these dictionaries: a second run needs the first's.
            arguments = tuple(dict(a) if isinstance(a, dict) else a for a in arguments)
            options = {name: dict(o) if isinstance(o, dict) else o for name, o in options.items()}
            return checkpoint(run, *arguments, use_reentrant=False, preserve_rng_state=False, **options)

        layer.forward = again
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
