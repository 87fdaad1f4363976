"""NIQE's features and distance."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from sedic.demo import PHOTOGRAPH
from sedic.errors import SedicError
from sedic.metrics.naturalness import _asymmetric, fit_pristine, naturalness, patch_features, pristine
from sedic.picture import read_picture


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return read_picture(PHOTOGRAPH)


def test_blur_and_noise_are_less_natural_than_the_photograph(photograph):
    soft = np.asarray(Image.fromarray(photograph).filter(ImageFilter.GaussianBlur(2)))
    random = np.random.default_rng(0)
    noisy = np.clip(photograph + random.normal(0, 15, photograph.shape), 0, 255).astype(np.uint8)
    own, *spoilt = (naturalness(patch_features(pixels)) for pixels in (photograph, soft, noisy))
    assert min(spoilt) > 1.3 * own


def test_a_set_is_not_away_from_its_own_statistics_and_a_shift_counts_by_mahalanobis():
    features = np.random.default_rng(3).normal(size=(400, 36))
    model = features.mean(0), np.cov(features.T)
    assert naturalness(features, model) == pytest.approx(0, abs=1e-9)
    shift = np.linspace(0, 1, 36)
    expected = np.sqrt(shift @ np.linalg.inv(model[1]) @ shift)
    assert naturalness(features + shift, model) == pytest.approx(expected)


@pytest.mark.parametrize(("shape", "draw"), [(2.0, "normal"), (1.0, "laplace")])
def test_shapes_of_known_distributions_are_found(shape, draw):
    values = getattr(np.random.default_rng(4), draw)(size=(300, 300))
    found, left, right = _asymmetric(values)
    assert found == pytest.approx(shape, rel=0.03)
    assert left == pytest.approx(right, rel=0.03)


def test_a_longer_right_side_is_seen():
    values = np.random.default_rng(5).normal(size=(300, 300))
    values[values > 0] *= 3
    _, left, right = _asymmetric(values)
    assert right == pytest.approx(3 * left, rel=0.05)


def test_features_fit_the_shipped_model_and_even_pictures_have_some(photograph):
    mean, covariance = pristine()
    assert mean.shape == (36,)
    assert np.linalg.eigvalsh(covariance).min() > 0
    features = patch_features(np.full((130, 200, 3), 90, np.uint8))
    assert features.shape == (2 * 3, 36)
    assert np.isfinite(features).all()
    fitted, spread, patches = fit_pristine([photograph])
    assert 0 < patches < (photograph.shape[0] // 64) * (photograph.shape[1] // 64)  # only the sharp ones
    assert np.isfinite(fitted).all()


def test_too_few_patches_are_told():
    with pytest.raises(SedicError, match="6 patches are too few"):
        naturalness(np.zeros((6, 36)))
