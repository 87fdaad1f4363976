"""Fidelity of a decoded picture to its original, and bits: the figures of the papers, on 8-bit pictures.

Both are taken strip by strip, so that two photographs of a phone need no more memory than themselves.

>>> import numpy as np
>>> original = np.zeros((192, 192, 3), np.uint8)
>>> round(psnr(original, original + np.uint8(1)), 2)
48.13
>>> bits_per_pixel(2246, 768, 512)
0.045694986979166664
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import SedicError
from ..progress import track

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales, the finest first
MS_SSIM_WINDOW, MS_SSIM_SIGMA = 11, 1.5
_REACH = MS_SSIM_WINDOW // 2
MS_SSIM_C1, MS_SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# torchmetrics' condition: at the coarsest of the five scales more than a window's reach is left.
MS_SSIM_MIN_SIDE = MS_SSIM_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)
_STRIP = 1 << 18  # pixels that are looked at together


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
    _check(a, b)
    rows = max(1, _STRIP // a.shape[1])
    squares = 0
    for top in range(0, len(a), rows):
        difference = a[top : top + rows].astype(np.int32) - b[top : top + rows]
        squares += int(np.square(difference).sum(dtype=np.int64))
    return 10 * math.log10(255**2 * a.size / squares) if squares else math.inf


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity, mean over the RGB channels; 1 for equal pictures.

    Five scales and an 11×11 Gaussian window (Wang, Simoncelli, Bovik 2003), as torchmetrics defines it: of four scales
    the contrast and structure under windows that lie within the picture, of the coarsest the luminance too and under
    all windows, the picture mirrored at its borders; a negative mean counts as 0. The window is applied to rows and
    columns in turn, strip by strip.

    Args:
        a: (H, W, 3) uint8, each side at least :data:`MS_SSIM_MIN_SIDE`.
        b: of the same size.

    Raises:
        MetricError: other types, different sizes, or a side below the least.
    """
    _check(a, b)
    height, width = a.shape[:2]
    if min(height, width) < MS_SSIM_MIN_SIDE:
        raise MetricError(
            f"MS-SSIM needs {MS_SSIM_MIN_SIDE} pixels a side and the pictures are {width}×{height}; "
            "use PSNR or larger pictures."
        )
    value = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS, 1):
        what = f"MS-SSIM, scale {scale} of {len(MS_SSIM_WEIGHTS)}"
        if scale < len(MS_SSIM_WEIGHTS):
            factor, _ = _factors(a, b, what)
            a, b = _halved(a), _halved(b)
        else:
            around = ((_REACH, _REACH), (_REACH, _REACH), (0, 0))
            _, factor = _factors(np.pad(a, around, mode="reflect"), np.pad(b, around, mode="reflect"), what)
        value *= max(factor, 0.0) ** weight
    return value


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


def _factors(a: np.ndarray, b: np.ndarray, what: str) -> tuple[float, float]:
    """Means over windows within (H, W, 3) of 0..255: of contrast and structure, and of these with the luminance."""
    import cv2

    window = np.exp(-np.square(np.arange(-_REACH, _REACH + 1) / MS_SSIM_SIGMA) / 2)
    window /= window.sum()

    def mean(values: np.ndarray) -> np.ndarray:
        """Under the windows that lie within the strip."""
        return cv2.sepFilter2D(values, cv2.CV_64F, window, window)[_REACH:-_REACH, _REACH:-_REACH]

    rows = max(1, _STRIP // a.shape[1])
    structure = similarity = 0.0
    inner = a.shape[0] - 2 * _REACH
    for top in track(range(0, inner, rows), what):
        strip = slice(top, min(top + rows, inner) + 2 * _REACH)
        x, y = a[strip].astype(np.float64), b[strip].astype(np.float64)
        mean_x, mean_y = mean(x), mean(y)
        xx, yy, xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
        spread = np.maximum(mean(x * x) - xx, 0) + np.maximum(mean(y * y) - yy, 0)
        part = (2 * (mean(x * y) - xy) + MS_SSIM_C2) / (spread + MS_SSIM_C2)
        structure += float(part.sum())
        similarity += float((part * (2 * xy + MS_SSIM_C1) / (xx + yy + MS_SSIM_C1)).sum())
    count = inner * (a.shape[1] - 2 * _REACH) * a.shape[2]
    return structure / count, similarity / count


def _halved(image: np.ndarray) -> np.ndarray:
    """Half the width and height, (H//2, W//2, 3) float64: means of 2×2 pixels."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    total = np.zeros((height // 2, width // 2, image.shape[2]))
    for row in (0, 1):
        for column in (0, 1):
            total += image[row:height:2, column:width:2]
    return total / 4


def _check(a: np.ndarray, b: np.ndarray) -> None:
    """Raises MetricError unless both are (H, W, 3) uint8 of one size."""
    for image in (a, b):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise MetricError(
                f"A picture to compare has shape {image.shape} and type {image.dtype}; give (height, width, 3) uint8."
            )
    if a.shape != b.shape:
        sizes = " and ".join(f"{image.shape[1]}×{image.shape[0]}" for image in (a, b))
        raise MetricError(f"The pictures to compare are {sizes}; they must have the same size.")
