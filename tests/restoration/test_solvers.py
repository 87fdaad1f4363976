"""Each solver against the exact solution of the ODE for a normal distribution."""

from __future__ import annotations

import pytest
import torch

from sedic.restoration.solvers import SOLVERS

from .toy import ToyDenoiser

ORDERS = {"euler": 1, "heun": 2, "dpm_2": 2}
EVALUATIONS = {"euler": 1, "heun": 2, "dpm_2": 2}
X = torch.tensor([[[[3.0, -1.0]]]], dtype=torch.float64)


def gaussian() -> ToyDenoiser:
    return ToyDenoiser(torch.tensor(0.7, dtype=torch.float64), spread=0.5)


def error(name: str, steps: int) -> float:
    """From σ = 4 to 0.1, against the exact solution."""
    denoiser, x = gaussian(), X
    sigmas = torch.logspace(0.60206, -1, steps + 1, dtype=torch.float64)
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        x = SOLVERS[name](denoiser.denoise, x, sigma, sigma_next)
    return (x - denoiser.solution(X, float(sigmas[0]), float(sigmas[-1]))).abs().max().item()


def test_every_solver_is_tested_here():
    assert set(ORDERS) == set(SOLVERS)


@pytest.mark.parametrize("name", ORDERS)
def test_error_falls_with_the_solvers_order(name):
    ratio = error(name, 32) / error(name, 64)
    assert 2 ** (ORDERS[name] - 0.2) < ratio < 2 ** (ORDERS[name] + 0.4)


@pytest.mark.parametrize("name", ORDERS)
def test_one_step_by_hand(name):
    """For D = 0 the ODE is dx/dσ = x / σ, which is a straight line through zero: every solver is exact."""
    denoiser = ToyDenoiser(torch.zeros(()))
    x = SOLVERS[name](denoiser.denoise, torch.tensor(8.0), torch.tensor(4.0), torch.tensor(1.0))
    assert x.item() == pytest.approx(2.0)


@pytest.mark.parametrize("name", ORDERS)
def test_last_step_is_the_denoisers_answer_in_one_evaluation(name):
    denoiser = gaussian()
    sigma = torch.tensor(0.3, dtype=torch.float64)
    x = SOLVERS[name](denoiser.denoise, X, sigma, torch.zeros((), dtype=torch.float64))
    assert len(denoiser.denoised_at) == 1
    torch.testing.assert_close(x, denoiser.denoise(X, sigma))


@pytest.mark.parametrize("name", ORDERS)
def test_evaluations_are_counted_out(name):
    denoiser = gaussian()
    SOLVERS[name](denoiser.denoise, X, torch.tensor(4.0), torch.tensor(1.0))
    assert len(denoiser.denoised_at) == EVALUATIONS[name]


def test_dpm_2_has_its_midpoint_in_the_logarithm():
    denoiser = gaussian()
    SOLVERS["dpm_2"](denoiser.denoise, X, torch.tensor(4.0), torch.tensor(1.0))
    assert denoiser.denoised_at == [4.0, pytest.approx(2.0)]
