"""Between ComfyUI's IMAGE and MASK tensors and the library's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from comfy_api.latest import ui
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


def kept_for_window(image: Tensor, name: str) -> dict[str, Any]:
    """Writes the first picture of an IMAGE into ComfyUI's temp folder; where the window finds it, and what it is."""
    saved = ui.PreviewImage(image[:1]).as_dict()["images"][0]
    return {"name": name, "file": saved["filename"], "subfolder": saved["subfolder"], "type": saved["type"]}
