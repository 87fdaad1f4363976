"""MS-SSIM as something to be trained for: what :func:`sedic.metrics.ms_ssim` measures, with a gradient everywhere.

The metric cuts what is below zero off, and its powers have no gradient there; here it is cut a little above.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ...metrics.fidelity import (
    MS_SSIM_C1,
    MS_SSIM_C2,
    MS_SSIM_MIN_SIDE,
    MS_SSIM_SIGMA,
    MS_SSIM_WEIGHTS,
    MS_SSIM_WINDOW,
)

LEAST = 1e-4  # of a scale's likeness


def structure(a: Tensor, b: Tensor) -> Tensor:
    """Multi-scale structural similarity of each picture, mean over its channels: (N,) of at most 1.

    Args:
        a: (N, C, H, W) float32 in grey levels, each side at least :data:`sedic.metrics.fidelity.MS_SSIM_MIN_SIDE`.
        b: likewise.

    Raises:
        ValueError: a side is too short.
    """
    if min(a.shape[2:]) < MS_SSIM_MIN_SIDE:
        raise ValueError(f"MS-SSIM needs {MS_SSIM_MIN_SIDE} pixels a side, not {tuple(a.shape[2:])}; use larger crops.")
    channels = a.shape[1]
    off = torch.arange(MS_SSIM_WINDOW, device=a.device) - MS_SSIM_WINDOW // 2
    window = torch.exp(-(off**2) / (2 * MS_SSIM_SIGMA**2))
    window = (window / window.sum()).expand(5 * channels, 1, MS_SSIM_WINDOW)
    product = torch.ones(a.shape[:2], device=a.device)
    for number, weight in enumerate(MS_SSIM_WEIGHTS):
        if number:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        maps = torch.cat([a, b, a * a, b * b, a * b], 1)
        maps = F.conv2d(maps, window[..., None], groups=len(window))
        mean_a, mean_b, square_a, square_b, both = F.conv2d(maps, window[:, :, None], groups=len(window)).chunk(5, 1)
        likeness = (2 * (both - mean_a * mean_b) + MS_SSIM_C2) / (
            square_a - mean_a**2 + square_b - mean_b**2 + MS_SSIM_C2
        )
        if number == len(MS_SSIM_WEIGHTS) - 1:
            likeness = likeness * (2 * mean_a * mean_b + MS_SSIM_C1) / (mean_a**2 + mean_b**2 + MS_SSIM_C1)
        product = product * likeness.mean((2, 3)).clamp(min=LEAST) ** weight  # N,C
    return product.mean(1)
