"""Muon (Jordan et al. 2024): momentum whose steps are made orthogonal, for matrices; Adam for everything else.

Short trainings are known to get further with it than with AdamW alone. Steps are scaled as by Liu et al. 2025
(arXiv 2502.16982), so that one learning rate serves both kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..models.precision import computes_in_bfloat16

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Newton-Schulz, steepest at 0 (Jordan et al.)
_ITERATIONS = 4


def orthogonal(matrix: Tensor) -> Tensor:
    """U·Vᵀ of a matrix's singular value decomposition, nearly: singular values come out near 1, except very small ones.

    Args:
        matrix: (rows, columns).
    """
    a, b, c = _COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide.bfloat16() if computes_in_bfloat16("matmul", device=wide.device) else wide.float()
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x if wide is matrix else x.T).to(matrix.dtype)


Shares = Callable[[str, nn.Parameter], "float | None"]


class Muon(torch.optim.Optimizer):
    """Orthogonal momentum for weights of two or more dimensions, AdamW for biases, norms, embeddings and the ends.

    Args:
        model: whose parameters are trained.
        shares: of a parameter's name and itself, the share of the rate at which AdamW moves it; None where it is a
            matrix. Without ``shares`` its shape decides. Groups keep theirs as ``share``, for schedules.
        rate: learning rate.
        momentum: of the matrices' gradients (Nesterov's).
        betas: Adam's.
        weight_decay: decoupled, for both.
    """

    def __init__(
        self, model: nn.Module, rate: float, momentum: float = 0.95, betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 1e-4, shares: Shares | None = None,
    ):  # fmt: skip
        embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        matrices: list[nn.Parameter] = []
        by_share: dict[float, list[nn.Parameter]] = {} if shares else {1.0: []}
        for name, parameter in model.named_parameters():
            matrix = parameter.ndim >= 2 and id(parameter) not in embeddings
            share = shares(name, parameter) if shares else None if matrix else 1.0
            (matrices if share is None else by_share.setdefault(share, [])).append(parameter)
        groups = [{"params": matrices, "matrices": True, "share": 1.0}]
        groups += [{"params": by_share[s], "matrices": False, "share": s} for s in sorted(by_share, reverse=True)]
        super().__init__(groups, {"lr": rate, "momentum": momentum, "betas": betas, "weight_decay": weight_decay})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what the steps have gathered; settings stay those that this one was made with."""
        own = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, settings in zip(self.param_groups, own, strict=True):
            group |= settings
        for state in self.state.values():
            if "step" in state:  # as the first runs of the reference wrote it
                state["count"] = torch.tensor(float(state.pop("step")))
            if "count" in state:  # each step reads it, and would wait for a GPU
                state["count"] = state["count"].cpu()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            update = self._orthogonal_step if group["matrices"] else self._adam_step
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update(parameter, parameter.grad, group), alpha=-group["lr"])

    def _orthogonal_step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"]
        momentum.lerp_(gradient, 1 - group["momentum"])
        direction = gradient.lerp(momentum, group["momentum"]).flatten(1)  # out,in,kh,kw -> out,in·kh·kw
        return (orthogonal(direction) * (0.2 * max(direction.shape) ** 0.5)).reshape(parameter.shape)

    def _adam_step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state |= {
                "count": torch.zeros(()),
                "mean": torch.zeros_like(parameter),
                "square": torch.zeros_like(parameter),
            }
        first, second = group["betas"]
        state["count"] += 1
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        count = float(state["count"])
        mean, square = state["mean"] / (1 - first**count), state["square"] / (1 - second**count)
        return mean / (square.sqrt() + 1e-8)
