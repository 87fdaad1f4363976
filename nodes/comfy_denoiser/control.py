"""A conditioning's ControlNet while a guided pass, a tile or one picture of several runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ...sedic.errors import SedicError
from .gradients import replace_inference_tensors
from .kernels import Stop, pytorch_attention


@contextmanager
def guided(control: Any, through: bool) -> Iterator[None]:
    """While it lasts, a ControlNet's forward pass runs with PyTorch's attention, and with gradients or without.

    It stays the object that it is: other nodes look into a conditioning's ControlNet, and set what they need in it.

    Args:
        control: ComfyUI's, with those before it.
        through: whether gradients go through it.
    """
    plain, own = control.get_control, "get_control" in vars(control)

    def get_control(*arguments: Any, **options: Any) -> Any:
        with ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(through and torch.is_grad_enabled()))
            for network in set(networks(control)):
                stack.enter_context(pytorch_attention(network))
                stack.callback(network.register_forward_hook(_without_views).remove)
            return plain(*arguments, **options)

    control.get_control = get_control
    try:
        yield
    finally:
        if own:
            control.get_control = plain
        else:
            del control.get_control


def _without_views(_: Any, inputs: Any, result: Any) -> Any:
    """A network's residuals, which ComfyUI multiplies in place: autograd forbids that in parts of one tensor."""
    return tree_map_only(Tensor, lambda one: one.clone() if one._is_view() and one.requires_grad else one, result)


def chain(control: Any) -> Iterator[Any]:
    """A ControlNet and those before it, the first one first."""
    if control.previous_controlnet is not None:
        yield from chain(control.previous_controlnet)
    yield control


def networks(control: Any, sigma: Tensor | None = None) -> list[torch.nn.Module]:
    """The networks of a ControlNet and of those before it; with ``sigma``, (1,), of those that act at it."""
    found = []
    for part in chain(control):
        network, limits = getattr(part, "control_model", None), getattr(part, "timestep_range", None)
        idle = sigma is not None and limits is not None and not limits[1] <= sigma[0] <= limits[0]
        if network is not None and not idle:
            found.append(network)
    return found


def prepare(control: Any, x: Tensor, sigma: Tensor) -> None:
    """Makes every ControlNet of a chain ready for gradients and has it encode its hint, without running its network.

    Args:
        control: of a conditioning in a running sampler.
        x: latent (1, C, h, w); ``sigma``: (1,), its noise level.
    """
    for part in chain(control):
        network = getattr(part, "control_model", None)
        if network is None:
            continue
        replace_inference_tensors(network)
        if not _has_hint(part, x):
            part.cond_hint = encoded_hint(part, x, sigma)


def _has_hint(control: Any, x: Tensor) -> bool:
    hint, scale = control.cond_hint, control.compression_ratio
    return hint is not None and hint.shape[-2:] == (x.shape[-2] * scale, x.shape[-1] * scale)


def encoded_hint(control: Any, x: Tensor, sigma: Tensor) -> Tensor:
    """What the ControlNet makes of its picture for a latent like ``x``: ComfyUI's own code, stopped at the network."""
    alone = control.copy()
    alone.model_sampling_current = control.model_sampling_current

    def stop(*_: Any) -> None:
        raise Stop

    handle = control.control_model.register_forward_pre_hook(stop)
    try:
        alone.get_control(x, sigma, {"c_crossattn": x.new_zeros(1, 1, 1)}, 1, {})
    except Stop:
        return alone.cond_hint
    finally:
        handle.remove()
    raise SedicError(f"A {type(control).__name__} does not show its hint; unplug guidance, or use another ControlNet.")


def part_of(control: Any, x: Tensor, sigma: Tensor, cut: Callable[[Tensor, int], Tensor]) -> Any:
    """A copy of a chain of ControlNets that sees a part of its hint.

    Args:
        control: of a conditioning in a running sampler.
        x: the whole latent, (B, C, h, w); ``sigma``: (1,).
        cut: the part of a hint, (B, C, H, W), each of whose cells is so many in a latent's.

    Raises:
        SedicError: a kind that cannot be cut.
    """
    if getattr(control, "control_model", None) is None:
        raise SedicError(f"A {type(control).__name__} cannot be cut into parts; raise working_size to the picture's, "
                         "or sample one picture at a time.")  # fmt: skip
    if not _has_hint(control, x):
        control.cond_hint = encoded_hint(control, x, sigma)
    part = control.copy()
    part.model_sampling_current, part.timestep_range = control.model_sampling_current, control.timestep_range
    part.cond_hint = cut(control.cond_hint, control.compression_ratio)
    if control.previous_controlnet is not None:
        part.set_previous_controlnet(part_of(control.previous_controlnet, x, sigma, cut))
    return part
