"""Where bfloat16 is used: the one place that decides it, by what the processor or the GPU has and by trying."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from .processor import multiplies_bfloat16

if TYPE_CHECKING:
    import torch


def computes_in_bfloat16(*operations: str, device: torch.device | str = "cpu") -> bool:
    """Whether these are worth computing in it: the device has instructions for it, and each runs, trained, too.

    Without such instructions PyTorch's bfloat16 is slower than float32, and some operations have no kernel at all.

    Args:
        operations: names in :data:`OPERATIONS`.
        device: the processor, or a GPU of CUDA's kind; no other device is asked for it.

    Raises:
        KeyError: there is no such operation.
    """
    trials = [OPERATIONS[name] for name in operations]
    return _multiplies(str(device)) and all(_runs(trial, str(device)) for trial in trials)


def autocast(*operations: str, on: bool | None = None, device: torch.device | str = "cpu") -> torch.autocast:
    """PyTorch's, to bfloat16 on a device, where that is worth it for ``operations``; else it is off.

    Args:
        operations: of what runs inside, see :func:`computes_in_bfloat16`.
        on: instead of asking that.
        device: where its tensors are.
    """
    wanted = computes_in_bfloat16(*operations, device=device) if on is None else on
    return _autocast(str(device), enabled=wanted)


def named(precision: str, device: str = "cpu") -> str:
    """``precision``, or what ``auto`` is on this device: bfloat16 on a processor that computes in it, else float32."""
    if precision != "auto":
        return precision
    return "bfloat16" if device == "cpu" and computes_in_bfloat16(*UNET) else "float32"


def _convolution() -> Any:
    import torch

    x, weight = _values(1, 8, 8, 8), _values(8, 8, 3, 3)
    return torch.nn.functional.conv2d(x.contiguous(memory_format=torch.channels_last), weight, padding=1)


def _matmul() -> Any:
    return _values(8, 8) @ _values(8, 8)


def _attention() -> Any:
    import torch

    return torch.nn.functional.scaled_dot_product_attention(*(_values(1, 2, 8, 8) for _ in range(3)))


def _lstm() -> Any:
    import torch

    return torch.nn.LSTM(8, 8)(_values(4, 2, 8))[0]


OPERATIONS: dict[str, Callable[[], Any]] = {
    "convolution": _convolution, "matmul": _matmul, "attention": _attention, "lstm": _lstm,
}  # fmt: skip
"""Small examples of what may have no kernel for bfloat16."""
UNET = ("convolution", "matmul", "attention")
"""What a denoising network does."""


def _values(*shape: int) -> Any:
    import torch

    return torch.full(shape, 0.5, requires_grad=True)


def _multiplies(device: str) -> bool:
    """Whether the device has instructions for it."""
    import torch

    kind = torch.device(device).type
    if kind != "cuda":
        return kind == "cpu" and multiplies_bfloat16()
    # NVIDIA's since Ampere; PyTorch would also say so of those before, which only imitate it.
    return bool(torch.version.hip) or torch.cuda.get_device_capability(device) >= (8, 0)


def _autocast(device: str, **how: bool) -> torch.autocast:
    import torch

    # Of other kinds of devices nothing is known, and nothing is computed in bfloat16 there.
    kind = "cuda" if torch.device(device).type == "cuda" else "cpu"
    return torch.autocast(kind, torch.bfloat16, **how)


@cache
def _runs(trial: Callable[[], Any], device: str) -> bool:
    """Whether it does under autocast: forward alone, and forward and backward, which are kernels of their own."""
    import torch

    # Neither a node's inference mode nor a training's random numbers may notice.
    others = [device] if torch.device(device).type == "cuda" else []
    with torch.inference_mode(False), torch.random.fork_rng(devices=others):
        try:
            for learning in (False, True):
                with torch.set_grad_enabled(learning), torch.device(device), _autocast(device, cache_enabled=False):
                    result = trial()
                if learning:
                    result.float().sum().backward()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            name = next(name for name, other in OPERATIONS.items() if other is trial)
            warnings.warn(f"This PyTorch has no bfloat16 for {name} here ({reason}); float32 it is.", stacklevel=2)
            return False
    return True
