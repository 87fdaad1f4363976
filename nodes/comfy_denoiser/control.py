"""What stands in for a conditioning's ControlNet while a guided pass, or a tile, runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from ...sedic.errors import SedicError
from .attention import Stop, pytorch_attention
from .gradients import replace_inference_tensors


class ControlStandIn:
    """A ControlNet whose forward pass runs with PyTorch's attention, and with gradients or without.

    Args:
        control: ComfyUI's, with those before it.
        through: whether gradients go through it.
    """

    def __init__(self, control: Any, through: bool):
        self.control, self.through = control, through

    def get_control(self, *arguments: Any) -> Any:
        with ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(self.through and torch.is_grad_enabled()))
            for network in set(networks(self.control)):
                stack.enter_context(pytorch_attention(network))
            return self.control.get_control(*arguments)


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


def windowed(control: Any, x: Tensor, sigma: Tensor, rows: slice, columns: slice) -> Any:
    """A copy of a chain of ControlNets that sees a part of its hint.

    Args:
        control: of a conditioning in a running sampler.
        x: the whole latent, (1, C, h, w); ``sigma``: (1,).
        rows, columns: the part, in latent cells.

    Raises:
        SedicError: a kind that cannot be cut.
    """
    if getattr(control, "control_model", None) is None:
        raise SedicError(f"A {type(control).__name__} cannot be cut into tiles; raise working_size to the picture's.")
    if not _has_hint(control, x):
        control.cond_hint = encoded_hint(control, x, sigma)
    part, scale = control.copy(), control.compression_ratio
    part.model_sampling_current, part.timestep_range = control.model_sampling_current, control.timestep_range
    part.cond_hint = control.cond_hint[
        ..., rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale
    ]
    if control.previous_controlnet is not None:
        part.set_previous_controlnet(windowed(control.previous_controlnet, x, sigma, rows, columns))
    return part
