"""Between ComfyUI's IMAGE and MASK tensors and the library's arrays."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_pixels(image: Tensor) -> np.ndarray:
    """First picture of an IMAGE batch, (B, H, W, C) in [0, 1], as (H, W, 3) uint8."""
    pixels = image[0, ..., :3].detach().cpu().float().clamp(0, 1)
    return pixels.mul(255).round().to(torch.uint8).numpy()


def to_image(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 as an IMAGE, (1, H, W, 3) in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).float().div(255)[None]


def to_mask(mask: np.ndarray) -> Tensor:
    """(H, W) bool as a MASK, (1, H, W) in {0, 1}."""
    return torch.from_numpy(np.ascontiguousarray(mask)).float()[None]
