"""One stage of Algorithm 1 on models of a few lines."""

from __future__ import annotations

import pytest
import torch

from sedic.restoration.fusion import Fusion, Trajectory
from sedic.restoration.guidance import Guidance, GuidanceSettings
from sedic.restoration.solvers import SOLVERS, Past
from sedic.restoration.stages import restore

from .scenes import INSIDE, MASK, SIGMAS, starting_noise, stream
from .toy import ToyDenoiser


@pytest.mark.parametrize("name", SOLVERS)
def test_without_guidance_and_fusion_a_stage_is_the_solver_bit_for_bit(name):
    denoiser = ToyDenoiser(torch.tensor(0.3), spread=0.2)
    trajectory = restore(denoiser, starting_noise(), SIGMAS, SOLVERS[name], fresh_noise=stream)
    x, noise = starting_noise(), stream()
    past = None
    for step in range(4):
        assert torch.equal(trajectory.latents[step], x.half()), "kept in half precision"
        following = SOLVERS[name](denoiser.denoise, x, SIGMAS[step], SIGMAS[step + 1], past, noise)
        past = Past(SIGMAS[step], denoiser.denoise(x, SIGMAS[step]))
        x = following
    assert torch.equal(trajectory.latents[4], x), "the last one as it is"
    assert len(trajectory.latents) == 5
    assert torch.equal(trajectory.sigmas, SIGMAS)


@pytest.mark.parametrize(("t_prime", "steps"), [(0.8, 1), (0.5, 2), (0.0, 4), (1.0, 0)])
def test_guided_only_above_t_prime(t_prime, steps):
    denoiser = ToyDenoiser(torch.tensor(0.3), spread=0.2)
    settings = GuidanceSettings(t_prime=t_prime, threshold=0.0, updates=2)
    restore(denoiser, starting_noise(), SIGMAS, guidance=Guidance(MASK, (0,), settings))
    assert sorted(set(denoiser.attention_at), reverse=True) == SIGMAS[:steps].tolist()
    assert len(denoiser.attention_at) == 2 * steps


def test_fusion_after_every_step_keeps_what_is_outside():
    before = Trajectory(SIGMAS, tuple(torch.full((1, 3, 8, 8), float(k)) for k in range(5)))
    denoiser = ToyDenoiser(torch.tensor(0.3), spread=0.2)
    fused = restore(denoiser, starting_noise(), SIGMAS, fusion=Fusion(MASK, before))
    alone = restore(denoiser, starting_noise(), SIGMAS)
    outside = INSIDE == 0
    for step in range(1, 5):
        assert torch.equal(fused.latents[step][..., outside], before.latents[step][..., outside])
        assert torch.equal(fused.latents[step][..., ~outside], alone.latents[step][..., ~outside])


def test_mask_of_the_whole_picture_is_no_fusion():
    denoiser = ToyDenoiser(torch.tensor(0.3), spread=0.2)
    whole = Fusion(torch.ones(64, 64), torch.zeros(1, 3, 8, 8))
    fused = restore(denoiser, starting_noise(), SIGMAS, fusion=whole, reference_noise=starting_noise())
    for a, b in zip(fused.latents, restore(denoiser, starting_noise(), SIGMAS).latents, strict=True):
        assert torch.equal(a, b)


def test_progress_is_told_the_prediction_and_the_latent_it_is_of():
    told: list[tuple] = []
    denoiser = ToyDenoiser(torch.tensor(0.3), spread=0.2)
    trajectory = restore(denoiser, starting_noise(), SIGMAS, SOLVERS["heun"], progress=lambda *seen: told.append(seen))
    assert [step for step, _, _ in told] == [0, 1, 2, 3]
    for step, denoised, x in told:
        assert torch.equal(x.half(), trajectory.latents[step])
        assert torch.equal(denoised, denoiser.denoise(x, SIGMAS[step]))
