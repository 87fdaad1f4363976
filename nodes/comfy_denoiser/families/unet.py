"""UNets: Stable Diffusion 1.x, 2.x, XL and the embedded one; their cross-attention, and that of their ControlNets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import comfy.latent_formats
import comfy.model_base
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import Upsample
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ....sedic.errors import SedicError
from ....sedic.restoration.denoiser import CONTROL_LAYERS, AttentionMap, attention_grid, attention_weights
from ....sedic.restoration.settings import ATTENTION_LAYERS, OWN_LAYERS
from ..casting import transient_weights
from ..kernels import Stop, pytorch_attention
from .protocol import Read, Run


class UNet:
    """The paper's kind of network: text is read by cross-attention alone."""

    name = "UNet"
    stride = 1.0
    tokenizers = frozenset({frozenset({"l"}), frozenset({"h"}), frozenset({"g"}), frozenset({"l", "g"})})

    def fits(self, network: Any) -> bool:
        return hasattr(network, "output_blocks") and hasattr(network, "middle_block")

    def size(self, model: Any) -> int:
        """1024 for SDXL, 768 for SD 2.1-v, else 512, unless its latents say it themselves."""
        latent_format = model.get_model_object("latent_format")
        if hasattr(latent_format, "native_size"):
            return latent_format.native_size
        if isinstance(latent_format, comfy.latent_formats.SDXL):
            return 1024
        second = model.model.model_config.unet_config.get("context_dim") == 1024
        return 768 if second and model.model.model_type == comfy.model_base.ModelType.V_PREDICTION else 512

    def runs(self, clip: Any, rows: Mapping[str, Sequence[Sequence[Any]]]) -> list[Run]:
        return [Run(next(iter(rows)), 0)]

    def expected(self, read: Read) -> list[nn.Module]:
        own = [m for n in read.controls for m in control_layers(n)] if CONTROL_LAYERS in read.layers else []
        modules = [*own, *unet_layers(read.network, read.layers)]
        if not modules:
            raise SedicError(
                f"No ControlNet with cross-attention acts at sigma {read.sigma.item():.3g}; read other layers, or "
                "widen its range."
            )
        return modules

    @contextmanager
    def recording(self, read: Read, maps: list[AttentionMap]) -> Iterator[None]:
        modules = self.expected(read)
        with ExitStack() as stack:
            for network in {read.network, *read.through} if read.checkpoint else ():
                stack.enter_context(checkpointing(network, modules))
            stack.enter_context(recording(modules, read.network, read.controls, read.latent, maps))
            yield

    def patches(self, control: bool) -> dict[str, Callable]:
        """ComfyUI adds a control in place on a skip that autograd has saved: the skips are copied."""
        return {"input_block_patch_after_skip": lambda h, _: h.clone()} if control else {}


def unet_layers(network: Any, layers: Sequence[str]) -> list[nn.Module]:
    """The UNet's cross-attention modules that ``layers`` names, in the order in which they run.

    Raises:
        SedicError: it has no such block.
    """
    layers = [ATTENTION_LAYERS[0] if name == OWN_LAYERS else name for name in layers]
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
    modules: Sequence[nn.Module],
    network: nn.Module,
    controls: Iterable[nn.Module],
    latent: tuple[int, int],
    maps: list[AttentionMap],
) -> Iterator[None]:
    """While it lasts, a forward pass of ``modules`` adds its weights to ``maps``, and :class:`Stop` follows the last.

    Queries and keys are taken where the module's own projections give them, so that it does not matter what somebody
    else has put in place of the attention itself.

    Args:
        modules: one for each time that one is expected to run.
        network, controls: in which they are, with the blocks around them that know their height and width.
        latent: (h, w) of the latent.
        maps: filled in the order in which they run.
    """
    blocks = [m for one in {network, *controls} for m in one.modules() if isinstance(m, SpatialTransformer)]
    main = set(network.modules())
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
            maps.append(AttentionMap(weights, grid, from_control=module not in main))
            if len(maps) == len(modules):
                raise Stop

        handles += [module.to_q.register_forward_hook(keep), module.to_k.register_forward_hook(read)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


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
