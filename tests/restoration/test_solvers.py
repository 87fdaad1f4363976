"""Each solver against the exact solution of the ODE for a normal distribution."""

from __future__ import annotations

import pytest
import torch

from sedic.errors import SedicError
from sedic.restoration.solvers import SOLVERS, Past, solver_named

from .toy import ToyDenoiser

ORDERS = {"euler": 1, "heun": 2, "dpm_2": 2, "ddim": 1, "dpmpp_2m": 2}
EVALUATIONS = {"euler": 1, "heun": 2, "dpm_2": 2, "euler_ancestral": 1, "ddim": 1, "dpmpp_2m": 1, "lcm": 1}
X = torch.tensor([[[[3.0, -1.0]]]], dtype=torch.float64)


def unit_noise(sigma, sigma_next):
    return torch.ones_like(X)


def gaussian() -> ToyDenoiser:
    return ToyDenoiser(torch.tensor(0.7, dtype=torch.float64), spread=0.5)


def error(name: str, steps: int) -> float:
    """From σ = 4 to 0.1, against the exact solution."""
    denoiser, x = gaussian(), X
    sigmas = torch.logspace(0.60206, -1, steps + 1, dtype=torch.float64)
    past = None
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        x, past = SOLVERS[name](denoiser.denoise, x, sigma, sigma_next, past), Past(sigma, denoiser.denoise(x, sigma))
    return (x - denoiser.solution(X, float(sigmas[0]), float(sigmas[-1]))).abs().max().item()


def test_every_solver_is_tested_here():
    assert set(EVALUATIONS) == set(SOLVERS)
    assert set(ORDERS) == set(SOLVERS) - {"euler_ancestral", "lcm"}, "which solve another equation, see below"


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


@pytest.mark.parametrize("name", EVALUATIONS)
def test_last_step_is_the_denoisers_answer_in_one_evaluation(name):
    denoiser = gaussian()
    sigma = torch.tensor(0.3, dtype=torch.float64)
    x = SOLVERS[name](denoiser.denoise, X, sigma, torch.zeros((), dtype=torch.float64), None, unit_noise)
    assert len(denoiser.denoised_at) == 1
    torch.testing.assert_close(x, denoiser.denoise(X, sigma))


@pytest.mark.parametrize("name", EVALUATIONS)
def test_evaluations_are_counted_out(name):
    denoiser = gaussian()
    SOLVERS[name](denoiser.denoise, X, torch.tensor(4.0), torch.tensor(1.0), None, unit_noise)
    assert len(denoiser.denoised_at) == EVALUATIONS[name]


def test_dpm_2_has_its_midpoint_in_the_logarithm():
    denoiser = gaussian()
    SOLVERS["dpm_2"](denoiser.denoise, X, torch.tensor(4.0), torch.tensor(1.0))
    assert denoiser.denoised_at == [4.0, pytest.approx(2.0)]


@pytest.mark.parametrize("name", ["euler_ancestral", "lcm"])
def test_a_step_with_fresh_noise_keeps_the_spread_of_a_noisy_constant(name):
    """x = mean + σ·n stays so at every level, which no step without fresh noise does for an unlucky n."""
    generator = torch.Generator().manual_seed(0)
    x = 0.7 + 4 * torch.randn(1, 1, 200, 200, generator=generator)
    sigmas = torch.tensor([4.0, 2.5, 1.5, 0.8])
    denoiser = ToyDenoiser(torch.tensor(0.7))
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        before = x
        x = SOLVERS[name](
            denoiser.denoise, x, sigma, sigma_next, None, lambda *_: torch.randn(1, 1, 200, 200, generator=generator)
        )
        assert x.std().item() == pytest.approx(sigma_next.item(), rel=0.02)
        assert torch.corrcoef(torch.stack([x.flatten(), before.flatten()]))[0, 1] < 0.9
    with pytest.raises(ValueError, match="noise sampler"):
        SOLVERS[name](denoiser.denoise, x, sigma, sigma_next)


def test_lcm_keeps_nothing_of_x_but_what_the_network_makes_of_it():
    x = SOLVERS["lcm"](gaussian().denoise, X, torch.tensor(4.0), torch.tensor(1.5), None, unit_noise)
    torch.testing.assert_close(x, gaussian().denoise(X, torch.tensor(4.0)) + 1.5)


def test_history_makes_dpmpp_2m_another_step():
    denoiser = gaussian()
    past = Past(torch.tensor(8.0), denoiser.denoise(2 * X, torch.tensor(8.0)))
    alone, carried = (
        SOLVERS["dpmpp_2m"](denoiser.denoise, X, torch.tensor(4.0), torch.tensor(1.0), p) for p in (None, past)
    )
    assert not torch.equal(alone, carried)


def test_a_sampler_that_cannot_be_stepped_is_refused_by_name_with_those_that_can():
    with pytest.raises(SedicError, match=r"'uni_pc' .*; use one of euler, heun, dpm_2, euler_ancestral, ddim, dpmpp"):
        solver_named("uni_pc")
