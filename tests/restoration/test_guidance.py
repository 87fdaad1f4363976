"""Eq. 3 against its own formulation on z, and when it acts."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from sedic.restoration.denoiser import AttentionMap
from sedic.restoration.energy import attention_energy
from sedic.restoration.guidance import Guidance, GuidanceSettings, guide

from .toy import ToyDenoiser, attention_of

MASK = torch.zeros(32, 48)
MASK[8:24, 16:40] = 1
ON_GRID = MASK[4::8, 4::8]
SIGMA = torch.tensor(3.0)


def noise() -> torch.Tensor:
    return torch.randn(1, 3, 4, 6, generator=torch.Generator().manual_seed(0)) * (1 + SIGMA**2).sqrt()


def guidance(**settings) -> Guidance:
    return Guidance(MASK, (1, 3), GuidanceSettings(**settings))


def test_a_step_on_x_is_the_papers_step_on_z():
    scale = (1 + SIGMA**2).sqrt()
    z = (noise() / scale).requires_grad_()
    (gradient,) = torch.autograd.grad(attention_energy(attention_of(z), ON_GRID, [1, 3]), z)
    moved = guide(ToyDenoiser(torch.zeros(())), noise(), SIGMA, guidance(eta=40.0, updates=1, threshold=0.0))
    torch.testing.assert_close(moved / scale, (z - 40.0 * gradient).detach())


def test_energy_falls_update_by_update_and_every_value_is_told():
    told: list[float] = []
    guide(ToyDenoiser(torch.zeros(())), noise(), SIGMA, guidance(eta=2.0, updates=6, threshold=0.0), told.append)
    assert len(told) == 6
    assert told == sorted(told, reverse=True)
    assert told[-1] < told[0]


def test_updates_end_at_the_threshold():
    told: list[float] = []
    denoiser = ToyDenoiser(torch.zeros(()))
    guide(denoiser, noise(), SIGMA, guidance(eta=2.0, updates=9, threshold=0.0), told.append)
    between = (told[3] + told[4]) / 2
    again: list[float] = []
    guide(denoiser, noise(), SIGMA, guidance(eta=2.0, updates=9, threshold=between), again.append)
    assert again == told[:5], "the fifth value is below it and moves nothing any more"


@pytest.mark.parametrize("settings", [{"threshold": 1.0}, {"updates": 0}])
def test_without_an_update_x_is_untouched(settings):
    x = noise()
    assert torch.equal(guide(ToyDenoiser(torch.zeros(())), x, SIGMA, guidance(**settings)), noise())


def test_the_given_latent_is_not_changed_and_no_graph_is_left():
    x = noise()
    with torch.no_grad():
        moved = guide(ToyDenoiser(torch.zeros(())), x, SIGMA, guidance(threshold=0.0))
    assert torch.equal(x, noise())
    assert not torch.equal(moved, x)
    assert not moved.requires_grad


def test_the_chosen_layers_are_asked_for():
    denoiser = ToyDenoiser(torch.zeros(()))
    guide(denoiser, noise(), SIGMA, guidance(layers=("middle block",), through_control=False, updates=1))
    assert denoiser.asked == [(("middle block",), False)]


def test_gradient_that_is_not_finite_is_an_error_that_says_what_to_do():
    class Broken(ToyDenoiser):
        def attention(self, x, sigma, layers, through_control):
            (whole,) = super().attention(x, sigma, layers)
            return [AttentionMap(whole.weights * torch.inf, whole.grid)]

    with pytest.raises(FloatingPointError, match="lower eta or turn guidance off"):
        guide(Broken(torch.zeros(())), noise(), SIGMA, guidance())


@pytest.mark.parametrize("steps", [1, 5, 10, 20, 50])
@pytest.mark.parametrize("tenths", range(11))
def test_guided_while_t_is_above_t_prime(steps, tenths):
    settings = GuidanceSettings(t_prime=tenths / 10)
    expected = [Fraction(steps - step, steps) > Fraction(tenths, 10) for step in range(steps)]
    assert [settings.active(step, steps) for step in range(steps)] == expected


def test_default_is_the_papers_step_for_the_first_fifth():
    settings = GuidanceSettings()
    assert settings.eta == 40
    assert [step for step in range(10) if settings.active(step, 10)] == [0, 1]
    assert [step for step in range(20) if settings.active(step, 20)] == [0, 1, 2, 3]


def test_zero_eta_is_no_guidance():
    assert not any(GuidanceSettings(eta=0.0, t_prime=0.0).active(step, 10) for step in range(10))


def test_of_several_latents_each_is_guided_by_its_own_mask_and_one_without_is_left():
    x = torch.cat([noise(), noise().flip(-1), 2 * noise()])
    masks = torch.stack([MASK, MASK.flip(0), torch.zeros_like(MASK)])
    settings = GuidanceSettings(eta=40.0, updates=2, threshold=0.0)
    moved = guide(ToyDenoiser(torch.zeros(())), x, SIGMA, Guidance(masks, (1, 3), settings))
    for i in range(2):
        alone = guide(ToyDenoiser(torch.zeros(())), x[i : i + 1], SIGMA, Guidance(masks[i], (1, 3), settings))
        assert torch.equal(moved[i : i + 1], alone)
    assert torch.equal(moved[2], x[2])
