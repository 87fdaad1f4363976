"""The trained network as integers: what :class:`sedic.bitstream.text.lstm.Network` computes with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...bitstream.text.confidence import PEAK_BITS
from ...bitstream.text.lstm import (
    CELL_BITS,
    GATE_BITS,
    GATE_LIMIT,
    LOGIT_BITS,
    PROJECTED_BITS,
    SCALE_BITS,
)

LARGEST = 127  # of an 8-bit weight
MATRICES = {
    "embedding": "emb.weight",
    "input": "lstm.weight_ih_l0",
    "recurrent": "lstm.weight_hh_l0",
    "projection": "proj.weight",
}


def quantised(weights: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """The arrays of the table, from the state of :class:`sedic.training.text.network.Predictor`.

    The functions' tables are computed here, once: another machine's ``exp`` may differ in its last bit.
    """
    values = {name: tensor.double().numpy() for name, tensor in weights.items()}
    table: dict[str, np.ndarray] = {}
    for name, source in MATRICES.items():
        table[name], table[f"{name}_scale"] = _rows(values[source])
    table["gate_bias"] = _fixed(values["lstm.bias_ih_l0"] + values["lstm.bias_hh_l0"], GATE_BITS, np.int32)
    table["projection_bias"] = _fixed(values["proj.bias"], PROJECTED_BITS, np.int32)
    table["logit_bias"] = _fixed(values["bias"], LOGIT_BITS, np.int32)
    argument = np.arange(-GATE_LIMIT, GATE_LIMIT + 1) / (1 << GATE_BITS)
    table["sigmoid"] = _fixed(1 / (1 + np.exp(-argument)), CELL_BITS, np.int16)
    table["tanh"] = _fixed(np.tanh(argument), CELL_BITS, np.int16)
    until_one = int(PEAK_BITS * np.log(2) * (1 << LOGIT_BITS)) + 2
    falling = np.exp(-np.arange(until_one) / (1 << LOGIT_BITS))
    table["exponential"] = np.maximum(_fixed(falling, PEAK_BITS, np.int32), 1)
    return table


def dequantised(table: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The weights that a table was made of, to its precision, as float32; the bias of the gates is in one piece."""
    values = {
        name: torch.from_numpy(table[source] * (table[f"{source}_scale"][:, None] / (1 << SCALE_BITS)))
        for source, name in MATRICES.items()
    }
    biases = {"gate": ("lstm.bias_ih_l0", GATE_BITS), "projection": ("proj.bias", PROJECTED_BITS)}
    for source, (name, bits) in (biases | {"logit": ("bias", LOGIT_BITS)}).items():
        values[name] = torch.from_numpy(table[f"{source}_bias"] / (1 << bits))
    return {name: value.float() for name, value in values.items()}


def _rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """8-bit rows and their scales, in 2⁻²⁰."""
    largest = np.abs(matrix).max(1, keepdims=True)
    scales = np.maximum(np.round(largest / LARGEST * (1 << SCALE_BITS)), 1)
    rows = np.clip(np.round(matrix / scales * (1 << SCALE_BITS)), -LARGEST, LARGEST)
    return rows.astype(np.int8), scales[:, 0].astype(np.int32)


def _fixed(values: np.ndarray, bits: int, kind: type[np.signedinteger]) -> np.ndarray:
    return np.round(values * (1 << bits)).astype(kind)
