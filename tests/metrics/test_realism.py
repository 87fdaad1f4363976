"""Distances between sets, against what can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sedic.errors import SedicError
from sedic.metrics.realism import frechet_distance, kernel_distance


def test_frechet_distance_of_shifted_and_stretched_gaussians_is_the_analytic_one():
    a = np.random.default_rng(0).normal(size=(500, 4))
    shift = np.array([1.0, -2.0, 0.0, 0.5])
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + shift) == pytest.approx((shift**2).sum(), rel=1e-6)
    # A stretched set: tr(Σ + s²Σ − 2sΣ) = (s − 1)² tr Σ, beside the moved mean.
    expected = (3 - 1) ** 2 * np.trace(np.cov(a.T)) + ((3 * a.mean(0) - a.mean(0)) ** 2).sum()
    assert frechet_distance(a, 3 * a) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_refuses_sets_smaller_than_their_features():
    with pytest.raises(SedicError, match="4 samples are too few"):
        frechet_distance(np.zeros((4, 4)), np.zeros((9, 4)))


def test_kernel_distance_is_the_unbiased_formula():
    random = np.random.default_rng(1)
    a, b = random.normal(size=(5, 3)), random.normal(size=(5, 3)) + 0.5

    def kernel(x, y):
        return (x @ y / 3 + 1) ** 3

    def mean(x, y, leave_out):
        pairs = [kernel(p, q) for i, p in enumerate(x) for j, q in enumerate(y) if not (leave_out and i == j)]
        return np.mean(pairs)

    assert kernel_distance(a, b) == pytest.approx(mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False))


def test_kernel_distance_of_one_distribution_is_zero_in_the_mean():
    random = np.random.default_rng(2)
    found = [kernel_distance(*random.normal(size=(2, 6, 3))) for _ in range(600)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 600**0.5
    assert min(found) < 0  # a biased estimate never is
