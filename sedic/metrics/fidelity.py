"""Fidelity of a decoded picture to its original, and bits: the figures of the papers, on 8-bit pictures.

>>> import numpy as np
>>> original = np.zeros((192, 192, 3), np.uint8)
>>> round(psnr(original, original + np.uint8(1)), 2)
48.13
>>> bits_per_pixel(2246, 768, 512)
0.045694986979166664
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SedicError

if TYPE_CHECKING:
    from torch import Tensor

_SCALES = 5
_WINDOW = 11
# torchmetrics' condition: at the coarsest of the five scales more than a window's reach is left.
MS_SSIM_MIN_SIDE = _WINDOW * 2 ** (_SCALES - 1)


class MetricError(SedicError):
    """Two pictures cannot be compared."""


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; ``inf`` for equal pictures.

    Args:
        a: (H, W, 3) uint8.
        b: of the same size.

    Raises:
        MetricError: other types or different sizes.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    first, second = _batch(a, b)
    return float(peak_signal_noise_ratio(first, second, data_range=255.0))


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity, mean over the RGB channels; 1 for equal pictures.

    Five scales and an 11×11 Gaussian window (Wang, Simoncelli, Bovik 2003).

    Args:
        a: (H, W, 3) uint8, each side at least :data:`MS_SSIM_MIN_SIDE`.
        b: of the same size.

    Raises:
        MetricError: other types, different sizes, or a side below the least.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    first, second = _batch(a, b)
    height, width = first.shape[-2:]
    if min(height, width) < MS_SSIM_MIN_SIDE:
        raise MetricError(
            f"MS-SSIM needs {MS_SSIM_MIN_SIDE} pixels a side and the pictures are {width}×{height}; "
            "use PSNR or larger pictures."
        )
    value = multiscale_structural_similarity_index_measure(
        first, second, kernel_size=_WINDOW, data_range=255.0, normalize="relu"
    )
    return float(value)


def fidelity(a: np.ndarray, b: np.ndarray) -> dict[str, float | None]:
    """``psnr`` in dB, None for equal pictures, and ``ms_ssim``, None for pictures too small for it.

    Raises:
        MetricError: other types or different sizes.
    """
    large = min(a.shape[:2]) >= MS_SSIM_MIN_SIDE
    decibels = psnr(a, b)
    return {"psnr": decibels if math.isfinite(decibels) else None, "ms_ssim": ms_ssim(a, b) if large else None}


def bits_per_pixel(bytes: int, width: int, height: int) -> float:
    """Bits of a whole file (``bytes`` × 8) for each of the original's pixels."""
    return bytes * 8 / (width * height)


def _batch(a: np.ndarray, b: np.ndarray) -> tuple[Tensor, Tensor]:
    """Both pictures as (1, 3, H, W) float64 of 0..255, in which a difference of one step is exact."""
    import torch

    for image in (a, b):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise MetricError(
                f"A picture to compare has shape {image.shape} and type {image.dtype}; give (height, width, 3) uint8."
            )
    if a.shape != b.shape:
        sizes = " and ".join(f"{image.shape[1]}×{image.shape[0]}" for image in (a, b))
        raise MetricError(f"The pictures to compare are {sizes}; they must have the same size.")
    first, second = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double() for image in (a, b))
    return first, second
