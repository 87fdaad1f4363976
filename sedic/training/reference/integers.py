"""The entropy model of the ``compact`` reference as integers, and the table of its distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ...bitstream.coder import WHOLE
from ...reference.compact.distribution import FARTHEST
from ...reference.compact.hierarchy import GROUPS, LEAST_ZERO, LEVEL, SETS, SIDE, ZERO_BITS, ZEROS
from ...reference.compact.prior import (
    ACTIVATION_BITS,
    BIAS_BITS,
    EXACT,
    FACTOR_BITS,
    LEAST_SCALE,
    MEAN_BITS,
    SCALE_BITS,
    SCALES,
    most_input,
)
from ...reference.compact.transforms import COARSE, FINE
from .prior import UNITS, Prior, Step

if TYPE_CHECKING:
    from .hierarchy import Hierarchy

LARGEST = 127  # of an 8-bit weight
CHANNELS = {"coarse": COARSE, "fine": FINE}


def integers(prior: Prior) -> dict[str, np.ndarray]:
    """The table of :class:`sedic.reference.compact.prior.Prior`."""
    table: dict[str, np.ndarray] = {}
    for level, steps in (("coarse", prior.coarse), ("fine", prior.fine)):
        for number, step in enumerate(steps.children()):
            assert isinstance(step, Step)
            _step(table, f"{level}{number}", step, 1 / UNITS[level])
    _product(table, "spread", prior.spread.weight, prior.spread.bias, 1 / UNITS["coarse"])
    _product(table, "hints", prior.hints.weight, prior.hints.bias, 2.0**-ACTIVATION_BITS)
    return table


def _step(table: dict[str, np.ndarray], name: str, step: Step, symbol: float) -> None:
    activation = 2.0**-ACTIVATION_BITS
    channels = step.last.weight.shape[0] // 2
    seen, hints = _split(step.first.weight, channels)
    _product(table, f"{name}.first", seen, step.first.bias, symbol)
    if hints.shape[1]:
        _product(table, f"{name}.first_hints", hints, None, activation)
    _product(table, f"{name}.second", step.second.weight, step.second.bias, activation)
    _product(table, f"{name}.last", step.last.weight, step.last.bias, activation)
    if step.linear is not None:
        _product(table, f"{name}.linear", step.linear.weight, None, symbol)
    table[f"{name}.first.knots"] = _fixed(step.quality_first.values)
    table[f"{name}.last.knots"] = _fixed(step.quality_last.values)


def _product(table: dict[str, np.ndarray], name: str, weight: Tensor, bias: Tensor | None, unit: float) -> None:
    whole, scale = whole_weights(weight.detach(), most_input(name))
    table[f"{name}.weight"] = whole.numpy().astype(np.int8)
    table[f"{name}.factor"] = np.rint(scale.flatten().double().numpy() * unit * 2.0**FACTOR_BITS).astype(np.int32)
    table[f"{name}.bias"] = _fixed(torch.zeros(len(weight)) if bias is None else bias)


def whole_weights(weight: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Integers within ±127 and the rows' scales (rows, 1, 1, 1); sums with inputs up to ``most`` stay exact."""
    largest = weight.abs().amax((1, 2, 3), keepdim=True) / LARGEST
    # Rounding may add a half to each weight.
    room = (EXACT - 1) / most - 0.5 * weight[0].numel()
    scale = torch.maximum(largest, weight.abs().sum((1, 2, 3), keepdim=True) / room).clamp(min=1e-9)
    return (weight / scale).round(), scale


def with_whole_weights(prior: Prior) -> dict[str, Tensor]:
    """The parameters of ``prior`` as :func:`integers` rounds them, with the gradient of the unrounded."""
    parameters: dict[str, Tensor] = dict(prior.named_parameters())
    for name, weight in parameters.items():
        if weight.ndim == 4:
            level, kind = name.split(".")[0], name.split(".")[-2]
            product = kind if kind == level else f"{level}0.{kind}"
            parts = {product: weight}
            if kind == "first":
                parts = dict(zip((product, f"{product}_hints"), _split(weight, CHANNELS[level]), strict=True))
            whole = [
                torch.mul(*whole_weights(part.detach(), most_input(p))) for p, part in parts.items() if part.numel()
            ]
            parameters[name] = weight + (torch.cat(whole, 1) - weight).detach()
    return parameters


def of_hierarchy(model: Hierarchy) -> dict[str, np.ndarray]:
    """The table of :class:`sedic.reference.compact.hierarchy.Hierarchy`."""
    table: dict[str, np.ndarray] = {}
    symbol, activation, state = 1 / UNITS[LEVEL], 2.0**-ACTIVATION_BITS, model.state_dict()
    for number in range(len(SETS)):
        ours, name = f"sets.{number}", f"set{number}"
        if f"{ours}.first.weight" in state:
            around = torch.cat([state[f"{ours}.first.weight"], state[f"{ours}.linear.weight"]])
            _product(table, f"{name}.around", around.unflatten(1, (-1, SIDE, SIDE)), None, symbol)
        for index in range(len(GROUPS)):
            ours, name = f"sets.{number}.groups.{index}", f"set{number}.group{index}"
            if f"{ours}.own.weight" in state:
                own = torch.cat([state[f"{ours}.own.weight"], state[f"{ours}.own_linear.weight"]])
                _product(table, f"{name}.own", own[:, :, None, None], None, symbol)
            for kind in ("second", "last"):
                weight, bias = state[f"{ours}.{kind}.weight"], state.get(f"{ours}.{kind}.bias")
                _product(table, f"{name}.{kind}", weight[:, :, None, None], bias, activation)
            for kind in ("first", "last"):
                table[f"{name}.{kind}.knots"] = _fixed(state[f"{ours}.quality_{kind}.values"])
    return table


def with_whole_rows(model: Hierarchy) -> dict[str, Tensor]:
    """The parameters of ``model`` as :func:`of_hierarchy` rounds them, with the gradient of the unrounded."""
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    for name, weight in parameters.items():
        kind = name.removesuffix(".weight").rpartition(".")[2]
        if kind in ("first", "linear", "own", "own_linear", "second", "last"):
            stored = {"first": "around", "linear": "around", "own_linear": "own"}.get(kind, kind)
            whole = torch.mul(*whole_weights(weight.detach()[:, :, None, None], most_input(f"{LEVEL}.{stored}")))
            parameters[name] = weight + (whole[:, :, 0, 0] - weight).detach()
    return parameters


def _split(weight: Tensor, channels: int) -> tuple[Tensor, ...]:
    """One convolution over symbols and hints as one over each."""
    return weight.split([channels, weight.shape[1] - channels], 1)


def _fixed(values: Tensor | nn.Parameter) -> np.ndarray:
    return np.rint(values.detach().double().numpy() * 2.0**BIAS_BITS).astype(np.int32)


def floats(table: dict[str, np.ndarray]) -> Prior:
    """The float twin of a table that :func:`integers` made."""
    prior = Prior()
    state: dict[str, Tensor] = {"spread.weight": _of(table, "spread", 1 / UNITS["coarse"])}
    state["hints.weight"] = _of(table, "hints", 2.0**-ACTIVATION_BITS)
    state |= {f"{name}.bias": _unfixed(table[f"{name}.bias"]) for name in ("spread", "hints")}
    for level, steps in (("coarse", prior.coarse), ("fine", prior.fine)):
        for number in range(len(steps)):
            state |= {f"{level}.{number}.{name}": value for name, value in _step_of(table, level, number).items()}
    prior.load_state_dict(state, strict=True)
    return prior


def _step_of(table: dict[str, np.ndarray], level: str, number: int) -> dict[str, Tensor]:
    name, symbol, activation = f"{level}{number}", 1 / UNITS[level], 2.0**-ACTIVATION_BITS
    state = {f"{kind}.weight": _of(table, f"{name}.{kind}", activation) for kind in ("second", "last")}
    state["first.weight"] = _of(table, f"{name}.first", symbol)
    if f"{name}.first_hints.weight" in table:
        hints = _of(table, f"{name}.first_hints", activation)
        state["first.weight"] = torch.cat([state["first.weight"], hints], 1)
    if f"{name}.linear.weight" in table:
        state["linear.weight"] = _of(table, f"{name}.linear", symbol)
    state |= {f"{kind}.bias": _unfixed(table[f"{name}.{kind}.bias"]) for kind in ("first", "second", "last")}
    return state | {f"quality_{kind}.values": _unfixed(table[f"{name}.{kind}.knots"]) for kind in ("first", "last")}


def _of(table: dict[str, np.ndarray], name: str, unit: float) -> Tensor:
    """The weight that :func:`_product` stored."""
    scale = table[f"{name}.factor"].reshape(-1, 1, 1, 1) / (unit * 2.0**FACTOR_BITS)
    return torch.from_numpy((table[f"{name}.weight"] * scale).astype(np.float32))


def _unfixed(values: np.ndarray) -> Tensor:
    return torch.from_numpy((values / 2.0**BIAS_BITS).astype(np.float32))


def distributions() -> np.ndarray:
    """The logistic distribution function in 2⁻²⁴, for each scale at 0 … ``FARTHEST`` in 2⁻⁵: (71, FARTHEST + 1)."""
    scales = 2.0 ** ((np.arange(SCALES) + LEAST_SCALE) / (1 << SCALE_BITS))
    off = np.arange(FARTHEST + 1) / (1 << MEAN_BITS)
    return np.rint(WHOLE / (1 + np.exp(-off / scales[:, None]))).astype(np.int32)


def shares() -> np.ndarray:
    """Of zeros beside a distribution, in 2⁻²⁴, for each index that :mod:`sedic.reference.compact.hierarchy` has."""
    logits = (np.arange(ZEROS) + LEAST_ZERO) / (1 << ZERO_BITS)
    return np.rint(WHOLE / (1 + np.exp(-logits))).astype(np.int32)


def written_package(model: Hierarchy, synthesis: nn.Module) -> dict[str, np.ndarray]:
    """All tensors of the file that :mod:`.written` makes: coarse entropy model, its table of zeros, synthesis."""
    tensors = {f"hierarchy.{name}": value for name, value in of_hierarchy(model).items()}
    tensors |= {f"synthesis.{name}": value for name, value in rows(synthesis).items()}
    return tensors | {"table.shares": shares()}


def package(transforms: nn.Module, prior: Prior, trade_offs: np.ndarray) -> dict[str, np.ndarray]:
    """All tensors of the shipped file: transforms, the entropy model as integers, and its tables."""
    tensors = {f"prior.{name}": value for name, value in integers(prior).items()}
    tensors |= {"table.distribution": distributions(), "table.trade_offs": trade_offs.astype(np.float64)}
    tensors |= {f"transforms.{name}": value for name, value in rows(transforms).items()}
    return tensors


def rows(network: nn.Module) -> dict[str, np.ndarray]:
    """A network's tensors as they are shipped: convolutions as 8-bit rows with their scales, the rest as floats."""
    tensors = {}
    for name, value in network.state_dict().items():
        if value.ndim == 4 and "linear" not in name:
            scale = value.abs().amax((1, 2, 3)).clamp(min=1e-9) / LARGEST
            tensors[name] = (value / scale[:, None, None, None]).round().numpy().astype(np.int8)
            tensors[f"{name}.factor"] = scale.numpy().astype(np.float32)
        else:
            tensors[name] = value.numpy().astype(np.float16 if value.ndim == 4 else np.float32)
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}
