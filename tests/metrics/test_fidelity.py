"""The figures are those of their definitions, and pictures that cannot be compared are told."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from sedic.metrics import MetricError, bits_per_pixel, fidelity, ms_ssim, psnr
from sedic.metrics.fidelity import MS_SSIM_MIN_SIDE


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(side: int) -> np.ndarray:
    rows, columns = np.mgrid[0:side, 0:side]
    return np.stack([columns, rows, 128 + 60 * np.sin(columns / 9) * np.cos(rows / 7)], 2).clip(0, 255).astype(np.uint8)


def test_psnr_is_its_definition():
    a, b = noise(20, 30), noise(20, 30, 1)
    expected = 10 * math.log10(255**2 / np.mean((a.astype(float) - b) ** 2))
    assert psnr(a, b) == pytest.approx(expected, abs=1e-6)
    assert psnr(a, b) == psnr(b, a)


def test_equal_pictures_are_perfect():
    a = smooth(MS_SSIM_MIN_SIDE)
    assert psnr(a, a) == math.inf
    assert ms_ssim(a, a) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("height", "width"), [(MS_SSIM_MIN_SIDE, MS_SSIM_MIN_SIDE), (177, 251), (300, 190)])
def test_ms_ssim_is_torchmetrics_own_in_strips_of_any_height(height, width, monkeypatch):
    import torch
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as defined

    a = smooth(max(height, width))[:height, :width]
    random = np.random.default_rng(0)
    for b in (a // 2, (a + random.normal(0, 20, a.shape)).clip(0, 255).astype(np.uint8), 255 - a, noise(height, width)):
        first, second = (torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double() for image in (a, b))
        expected = float(defined(first, second, data_range=255.0, normalize="relu"))
        for pixels in (1, 3000, 1 << 18):
            monkeypatch.setattr(fidelity, "_STRIP", pixels)
            assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-6)
            assert math.isclose(psnr(a, b), 10 * math.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_large_pictures_need_little_more_memory_than_themselves():
    import tracemalloc

    a = np.resize(noise(256, 2048), (2048, 2048, 3))
    ms_ssim(a[:256], a[:256])  # imports
    tracemalloc.start()
    try:
        fidelity.fidelity(a, 255 - a)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 45 * 2048 * 2048  # bytes: 4096×4096 then stays below a gigabyte


def test_ms_ssim_falls_as_noise_grows():
    a = smooth(192)
    random = np.random.default_rng(0)
    values = [ms_ssim(a, (a + random.normal(0, s, a.shape)).clip(0, 255).astype(np.uint8)) for s in (2, 10, 40)]
    assert 1 > values[0] > values[1] > values[2] > 0
    assert values[0] > 0.98


def test_ms_ssim_below_its_least_size_says_so():
    for height, width in [(MS_SSIM_MIN_SIDE - 1, 300), (300, 16)]:
        with pytest.raises(MetricError, match=f"{MS_SSIM_MIN_SIDE} pixels a side.*{width}×{height}"):
            ms_ssim(noise(height, width), noise(height, width))


def test_pictures_that_cannot_be_compared_are_told():
    with pytest.raises(MetricError, match="30×20 and 20×30"):
        psnr(noise(20, 30), noise(30, 20))
    with pytest.raises(MetricError, match="uint8"):
        psnr(noise(20, 30) / 255, noise(20, 30))
    with pytest.raises(MetricError, match="uint8"):
        ms_ssim(noise(200, 200)[..., 0], noise(200, 200)[..., 0])


def test_bits_per_pixel_counts_every_byte():
    assert bits_per_pixel(884, 768, 512) == pytest.approx(0.017985, abs=1e-6)
    assert bits_per_pixel(1, 8, 1) == 1


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(fidelity).failed == 0
