"""Small networks in integers: the same numbers on every machine, in any order of summation.

Weights and activations are integers held in floats; every sum stays below 2⁵³ (2²⁴ where float32 is used), so a
matrix product is exact whichever library, instruction set or number of threads computes it.
"""

from __future__ import annotations

import numpy as np

WEIGHT_BITS = 8  # a weight of 1 is stored as 2⁸
MOST_ACTIVATION = 1 << 16


class Network:
    """A perceptron with rectified layers.

    Attributes:
        weights: per layer (inputs, outputs) float64 integers, in 1/2⁸.
        biases: per layer (outputs,) float64 integers, in the layer's output unit: 1/2⁸ in the first layer, whose
            inputs are 0 or 1, and 1/2¹⁶ in the others.
    """

    def __init__(self, table: dict[str, np.ndarray], name: str) -> None:
        """The network ``name`` of a table: ``<name>_w0``, ``<name>_b0``, ``<name>_w1`` … , integers."""
        layers = range(sum(key.startswith(f"{name}_w") for key in table))
        self.weights = [table[f"{name}_w{i}"].astype(np.float64) for i in layers]
        self.biases = [table[f"{name}_b{i}"].astype(np.float64) for i in layers]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs in 1/2¹⁶ for inputs 0 or 1, (N, inputs) -> (N, outputs) float64 integers."""
        # Float32 is exact here: an input is 0 or 1, and a column's weights add up to less than 2²⁴.
        first = inputs.astype(np.float32) @ self.weights[0].astype(np.float32)
        return self.rest(first.astype(np.float64) + self.biases[0])

    def rest(self, first: np.ndarray) -> np.ndarray:
        """All behind the first layer's sums, (…, hidden) in 1/2⁸."""
        values = _rectified(first)
        for weight, bias in zip(self.weights[1:-1], self.biases[1:-1], strict=True):
            values = _rectified(np.floor((values @ weight + bias) / (1 << WEIGHT_BITS)))
        return values @ self.weights[-1] + self.biases[-1]


def _rectified(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, MOST_ACTIVATION)


def to_integers(layers: list[tuple[np.ndarray, np.ndarray]], name: str) -> dict[str, np.ndarray]:
    """The arrays of a table for float layers (weight (inputs, outputs), bias (outputs,)); see :class:`Network`.

    Raises:
        ValueError: a weight is too large for the table.
    """
    table = {}
    for i, (weight, bias) in enumerate(layers):
        rounded = np.rint(weight * (1 << WEIGHT_BITS))
        if np.abs(rounded).max() > 32767 or (i == 0 and np.abs(rounded).sum(0).max() >= 1 << 24):
            raise ValueError(f"A weight of layer {i} is {np.abs(weight).max():.0f}; train with more weight decay.")
        table[f"{name}_w{i}"] = rounded.astype(np.int16)
        table[f"{name}_b{i}"] = np.rint(bias * (1 << WEIGHT_BITS * (2 if i else 1))).astype(np.int32)
    return table
