"""Eq. 4 and the trajectories that it mixes."""

from __future__ import annotations

import pytest
import torch

from sedic.restoration.denoiser import variance_exploding
from sedic.restoration.fusion import Fusion, Trajectory, fuse, latent_mask, previous_trajectory

SIGMAS = torch.tensor([4.0, 1.0, 0.0])
NOISE = torch.randn(1, 2, 4, 6, generator=torch.Generator().manual_seed(0))
LATENT = torch.full((1, 2, 4, 6), 0.25)
MASK = torch.ones(32, 48)


def test_inside_is_this_stages_and_outside_the_one_before():
    mask = torch.zeros(4, 6)
    mask[1, 2] = 1
    fused = fuse(NOISE, LATENT, mask)
    expected = LATENT.clone()
    expected[..., 1, 2] = NOISE[..., 1, 2]
    assert torch.equal(fused, expected)
    assert torch.equal(fuse(NOISE, LATENT, torch.ones(4, 6)), NOISE)
    assert torch.equal(fuse(NOISE, LATENT, torch.zeros(4, 6)), LATENT)


def test_reference_is_noised_at_each_sigma_and_clean_at_zero():
    trajectory = Trajectory.of_latent(LATENT, SIGMAS, NOISE, variance_exploding)
    assert len(trajectory.latents) == 3
    for sigma, latent in zip(SIGMAS, trajectory.latents, strict=True):
        torch.testing.assert_close(latent, LATENT + sigma * NOISE)
    assert torch.equal(trajectory.latents[-1], LATENT)


def test_plain_latent_stands_for_a_trajectory():
    made = previous_trajectory(Fusion(MASK, LATENT), SIGMAS, NOISE, variance_exploding)
    assert torch.equal(made.sigmas, SIGMAS)
    for a, b in zip(made.latents, Trajectory.of_latent(LATENT, SIGMAS, NOISE, variance_exploding).latents, strict=True):
        assert torch.equal(a, b)


def test_trajectory_on_the_same_grid_is_used_as_it_is():
    trajectory = Trajectory.of_latent(LATENT, SIGMAS.clone(), NOISE, variance_exploding)
    assert previous_trajectory(Fusion(MASK, trajectory), SIGMAS, NOISE, variance_exploding) is trajectory


@pytest.mark.parametrize(
    ("sigmas", "told"),
    [
        (torch.tensor([4.0, 2.0, 1.0, 0.0]), "ran 3 steps from sigma 4.000 .*this one 2 steps from sigma 4.000"),
        (torch.tensor([5.0, 1.0, 0.0]), "from sigma 5.000 .*this one 2 steps from sigma 4.000"),
        (torch.tensor([4.0, 1.5, 0.0]), "second 1.500.*second 1.000"),
    ],
)
def test_different_noise_levels_are_an_error_naming_both(sigmas, told):
    trajectory = Trajectory.of_latent(LATENT, sigmas, NOISE, variance_exploding)
    with pytest.raises(ValueError, match=told):
        previous_trajectory(Fusion(MASK, trajectory), SIGMAS, NOISE, variance_exploding)


def test_different_sizes_are_an_error_naming_both():
    trajectory = Trajectory.of_latent(torch.zeros(1, 2, 8, 8), SIGMAS, torch.zeros(1, 2, 8, 8), variance_exploding)
    with pytest.raises(ValueError, match=r"\(1, 2, 8, 8\), this one's \(1, 2, 4, 6\)"):
        previous_trajectory(Fusion(MASK, trajectory), SIGMAS, NOISE, variance_exploding)


def test_mask_comes_to_the_latents_grid_and_type():
    mask = torch.zeros(32, 48)
    mask[:, :24] = 1
    on_latent = latent_mask(mask, NOISE.double())
    assert on_latent.dtype == torch.float64
    assert on_latent.shape == (4, 6)
    assert on_latent[:, :3].all()
    assert not on_latent[:, 3:].any()
