"""How natural pictures look by the statistics of their brightness: NIQE's features under a model of our own.

NIQE (Mittal, Soundararajan, Bovik 2013) measures how far the statistics of small patches lie from those of pristine
photographs. Its authors' model of these is not free to ship, so this one is fitted on originals of the training set
(``python -m sedic.bench pristine``): figures compare with each other, not with published ones. And patches of all
pictures are taken together, because one of 256 pixels has fewer patches than there are features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import SedicError
from ..picture.color import LUMA

PATCH = 64  # pixels; NIQE's own is 96
FEATURES = 36
_PRISTINE = Path(__file__).with_name("pristine.npz")
_SHARP = 0.75  # of the sharpest patch of a picture: what pristine statistics are taken from
_FLAT = 1e-3  # least deviation of normalised brightness, so that an even patch has features, too
_SHAPES = np.arange(0.2, 10, 0.001)
# (E|x|)² / E[x²] of a generalised Gaussian of each shape
_RATIOS = np.array([math.gamma(2 / s) ** 2 / (math.gamma(1 / s) * math.gamma(3 / s)) for s in _SHAPES])


def patch_features(pixels: np.ndarray) -> np.ndarray:
    """NIQE's 36 features of each patch of a picture, (N, 36); what is left beside the last whole patch is not used.

    Args:
        pixels: (H, W, 3) uint8, each side at least :data:`PATCH`.
    """
    return _features(pixels)[0]


def fit_pristine(pictures: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean (36,) and covariance (36, 36) of the sharp patches of pictures, and how many patches that were."""
    kept = []
    for pixels in pictures:
        features, sharpness = _features(pixels)
        kept.append(features[sharpness > _SHARP * sharpness.max()])
    patches = np.concatenate(kept)
    return patches.mean(0), np.cov(patches.T), len(patches)


def save_pristine(mean: np.ndarray, covariance: np.ndarray, path: Path = _PRISTINE) -> None:
    """Writes what :func:`fit_pristine` gave."""
    np.savez(path, mean=mean, covariance=covariance)


def pristine() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the shipped model."""
    with np.load(_PRISTINE, allow_pickle=False) as stored:
        return stored["mean"], stored["covariance"]


def naturalness(features: np.ndarray, model: tuple[np.ndarray, np.ndarray] | None = None) -> float:
    """NIQE's distance √((ν₁ − ν₂)ᵀ ((Σ₁ + Σ₂)/2)⁻¹ (ν₁ − ν₂)): smaller is more natural.

    Args:
        features: (N, 36) of the patches of all pictures, N above 36.
        model: mean and covariance to measure from; the shipped ones by default.

    Raises:
        SedicError: too few patches.
    """
    if len(features) <= FEATURES:
        raise SedicError(f"{len(features)} patches are too few for NIQE's {FEATURES} features; measure more pictures.")
    mean, covariance = pristine() if model is None else model
    away = features.mean(0) - mean
    return float(np.sqrt(away @ np.linalg.pinv((covariance + np.cov(features.T)) / 2) @ away))


def _features(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 36) and sharpness (N,) of the patches of a picture."""
    import cv2

    luma = pixels @ np.array(LUMA)
    height, width = (side // PATCH * PATCH for side in luma.shape)
    luma = luma[:height, :width]
    half = cv2.resize(luma, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    columns = []
    for image, side in ((luma, PATCH), (half, PATCH // 2)):
        normalised, deviation = _normalised(image)
        # Products with the four neighbours, inside the whole picture.
        products = [normalised * np.roll(normalised, shift, (0, 1)) for shift in ((0, 1), (1, 0), (1, 1), (1, -1))]
        rows = []
        for values in zip(*(_patches(plane, side) for plane in (normalised, *products)), strict=True):
            shape, left, right = _asymmetric(values[0])
            row = [shape, (left + right) / 2]
            for product in values[1:]:
                shape, left, right = _asymmetric(product)
                mean = (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape)
                row += [shape, mean, left, right]
            rows.append(row)
        columns.append(np.array(rows))
        if image is luma:
            sharpness = _patches(deviation, side).mean((1, 2))
    return np.concatenate(columns, 1), sharpness


def _normalised(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brightness less its local mean over its local deviation, and that deviation; 7×7 Gaussian of 7/6."""
    import cv2

    def blur(plane: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(plane, (7, 7), 7 / 6, borderType=cv2.BORDER_REPLICATE)

    mean = blur(image)
    deviation = np.sqrt(np.abs(blur(image * image) - mean * mean))
    return (image - mean) / (deviation + 1), deviation


def _patches(plane: np.ndarray, side: int) -> np.ndarray:
    """(H, W) -> (N, side, side), side by side; H and W are multiples."""
    height, width = plane.shape
    return plane.reshape(height // side, side, width // side, side).swapaxes(1, 2).reshape(-1, side, side)


def _asymmetric(values: np.ndarray) -> tuple[float, float, float]:
    """Shape and the left and right scale of an asymmetric generalised Gaussian, by its moments (Lasmar et al. 2009)."""
    left, right = (
        max(_FLAT, math.sqrt(float((values[side] ** 2).mean()) if side.any() else 0.0))
        for side in (values < 0, values > 0)
    )
    ratio = left / right
    moments = float(np.abs(values).mean()) ** 2 / max(float((values**2).mean()), _FLAT**2)
    wanted = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = float(_SHAPES[_nearest(wanted)])
    scale = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * scale, right * scale


def _nearest(ratio: float) -> int:
    """The place in the rising :data:`_RATIOS` of the value next to ``ratio``."""
    above = int(np.clip(np.searchsorted(_RATIOS, ratio), 1, len(_RATIOS) - 1))
    return above - int(ratio - _RATIOS[above - 1] < _RATIOS[above] - ratio)
