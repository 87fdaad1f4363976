"""Patches of other nodes that bring a network and a picture into a MODEL, as the Fun control of Qwen-Image and Z-Image.

ComfyUI calls such a patch between the network's blocks. It scales its picture to whatever latent it is called with: a
tile, or one picture of several, would be held to the whole. So a part of the latent gets a patch of its own, made by
the patch's own class from its part of the picture.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ...sedic.errors import SedicError
from .casting import transient_weights
from .gradients import replace_inference_tensors
from .kernels import pytorch_attention
from .latents import cell_of

Cut = Callable[[Tensor, int], Tensor]
"""Of what lies on the whole latent, (…, H, W), each of whose cells is so many in a latent's, a part."""


def holders(options: dict[str, Any]) -> list[Any]:
    """The objects among a model's options that bring a network, as ComfyUI asks them for it."""
    found = {id(one): one for one in map(_holder, _entries(options)) if hasattr(one, "models")}
    return list(found.values())


@contextmanager
def guided_patches(options: dict[str, Any]) -> Iterator[None]:
    """While it lasts, gradients go through the patches' networks; afterwards each patch is as it was.

    A patch may keep what it has computed for the blocks to come, which a pass that ends early does not reach: the next
    pass would go on with it.
    """
    found = holders(options)
    networks = {id(part.model): part.model for one in found for part in one.models()}
    for one in found:
        for name, value in vars(one).items():
            if isinstance(value, Tensor) and value.is_inference():
                setattr(one, name, value.clone())
    before = [dict(vars(one)) for one in found]
    with ExitStack() as stack:
        for network in networks.values():
            replace_inference_tensors(network)
            stack.enter_context(pytorch_attention(network))
            stack.enter_context(transient_weights(network))
        try:
            yield
        finally:
            for one, kept in zip(found, before, strict=True):
                vars(one).clear()
                vars(one).update(kept)


def with_parts(options: dict[str, Any], x: Tensor, cut: Cut) -> dict[str, Any]:
    """A model's options whose patches see a part of their pictures; themselves where there are no such patches.

    Args:
        options: of a running sampler.
        x: the whole latent, (…, h, w).
        cut: the part.

    Raises:
        SedicError: a patch whose picture cannot be cut.
    """
    return _replaced(options, {id(one): _part(one, x, cut) for one in holders(options) if _spatial(one, x)})


def with_pictures(model: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """MODEL, or a clone of it whose patches have other pictures.

    Args:
        model: ComfyUI's.
        change: given an IMAGE, (B, H, W, C), or masks of such a shape; gives itself where nothing is to change.
    """
    made = {}
    for one in holders(model.model_options):
        given = _given(one, change)
        if any(getattr(one, name) is not value for name, value in given.items()):
            made[id(one)] = _made(one, given)
    if not made:
        return model
    clone = model.clone()
    clone.model_options = _replaced(model.model_options, made)  # an older core's clone has copies of the patches
    return clone


def _entries(options: dict[str, Any]) -> Iterator[Any]:
    transformer = options.get("transformer_options", {})
    for some in transformer.get("patches", {}).values():
        yield from (part for one in some for part in (one if isinstance(one, tuple) else (one,)))
    for places in transformer.get("patches_replace", {}).values():
        yield from places.values()
    yield options.get("model_function_wrapper")


def _holder(entry: Any) -> Any:
    return getattr(entry, "__self__", entry)


def _pictures(one: Any) -> dict[str, Tensor]:
    """What it was made from that is an IMAGE, (B, H, W, C), by its name."""
    given = {name: getattr(one, name, None) for name in inspect.signature(type(one)).parameters}
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, Tensor) and value.ndim == 4 and value.shape[-1] in (3, 4)
    }


def _spatial(one: Any, x: Tensor) -> bool:
    """Whether it holds something that lies on the picture: an IMAGE, or a latent of the whole one's size."""
    held = [value for value in vars(one).values() if isinstance(value, Tensor) and value.ndim >= 4]
    return bool(_pictures(one)) or any(value.shape[-2:] == x.shape[-2:] for value in held)


def _given(one: Any, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Its pictures, and the mask beside them, changed, by their names."""
    given = {name: change(value) for name, value in _pictures(one).items()}
    mask = getattr(one, "mask", None)
    if given and isinstance(mask, Tensor):
        flat = mask.reshape(len(mask), -1, *mask.shape[-2:]).movedim(1, -1)
        other = change(flat)
        given["mask"] = mask
        if other is not flat:
            given["mask"] = other.movedim(-1, 1).reshape(len(other), *mask.shape[1:-2], *other.shape[1:3])
    return given


def _part(one: Any, x: Tensor, cut: Cut) -> Any:
    cell = cell_of(getattr(one, "vae", None))
    height, width = x.shape[-2] * cell, x.shape[-1] * cell

    def of(value: Tensor) -> Tensor:  # B,H,W,C
        whole = value.movedim(-1, 1)
        if whole.shape[-2:] != (height, width):
            whole = comfy.utils.common_upscale(whole, width, height, "area", "center")
        return cut(whole, cell).movedim(1, -1)

    pictures = _pictures(one)
    if not pictures:
        raise SedicError(f"A {type(one).__name__} cannot be cut into parts; raise working_size to the picture's, or "
                         "sample one picture at a time.")  # fmt: skip
    if all(cut(value, cell) is value for value in pictures.values()):  # of a batch, one picture for all
        return one
    return _made(one, _given(one, of), x.device)


def _made(one: Any, given: dict[str, Any], device: Any = None) -> Any:
    """One like it, by its own class, from what it was made from but for what is ``given``."""
    parameters = inspect.signature(type(one)).parameters
    absent = [name for name in parameters if not hasattr(one, name)]
    if absent:
        raise SedicError(f"A {type(one).__name__} does not show its {absent[0]}, so it cannot be cut into parts; raise "
                         "working_size to the picture's, or sample one picture at a time.")  # fmt: skip
    loaded = comfy.model_management.loaded_models(only_currently_used=True)
    with torch.no_grad():
        made = type(one)(**{name: getattr(one, name) for name in parameters} | given)
    comfy.model_management.load_models_gpu(loaded)  # the autoencoder may have taken their place
    return made.to(device) if device is not None and hasattr(made, "to") else made


def _replaced(options: dict[str, Any], made: dict[int, Any]) -> dict[str, Any]:
    """``options`` with one object in another's place, by its id; also within patches that hold one."""
    if not made:
        return options

    def new(entry: Any) -> Any:
        if isinstance(entry, tuple):
            return tuple(map(new, entry))
        if id(entry) in made:
            return made[id(entry)]
        if id(_holder(entry)) in made:
            return getattr(made[id(_holder(entry))], entry.__name__)
        inner = {name: made[id(value)] for name, value in getattr(entry, "__dict__", {}).items() if id(value) in made}
        if not inner:
            return entry
        entry = copy.copy(entry)
        vars(entry).update(inner)
        return entry

    transformer = dict(options.get("transformer_options", {}))
    transformer["patches"] = {kind: list(map(new, some)) for kind, some in transformer.get("patches", {}).items()}
    transformer["patches_replace"] = {
        kind: {place: new(one) for place, one in places.items()}
        for kind, places in transformer.get("patches_replace", {}).items()
    }
    changed = {**options, "transformer_options": transformer}
    if "model_function_wrapper" in options:
        changed["model_function_wrapper"] = new(options["model_function_wrapper"])
    return changed
