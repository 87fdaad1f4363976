"""One stage of Algorithm 1 on models of a few lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sedic.restoration.fusion import Fusion, Trajectory, fuse, latent_mask
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


# Numbers that are none


def test_a_guided_stage_that_leaves_the_range_of_numbers_is_run_again_without_guidance():
    told: list[str] = []

    class Once(ToyDenoiser):
        def denoise(self, x, sigma):
            wrong = float(sigma) == 1.0 and len(self.denoised_at) == 2
            return super().denoise(x, sigma) * (torch.inf if wrong else 1)

    guided = Guidance(MASK, (0,), GuidanceSettings(threshold=0.0))
    denoiser = Once(torch.tensor(0.3), spread=0.2)
    options = {"solver": SOLVERS["euler_ancestral"], "fresh_noise": stream}
    found = restore(denoiser, starting_noise(), SIGMAS, guidance=guided, note=told.append, **options)
    free = restore(ToyDenoiser(torch.tensor(0.3), spread=0.2), starting_noise(), SIGMAS, **options)
    assert torch.equal(found.latents[-1], free.latents[-1])
    (sentence,) = told
    assert "not finite behind step 3 of 4 (sigma 1)" in sentence
    assert "run again without guidance" in sentence
    assert len(denoiser.denoised_at) == 3 + 4, "it is noticed at once"


def test_a_gradient_that_is_not_finite_also_leads_to_a_stage_without_guidance():
    class Broken(ToyDenoiser):
        def attention(self, *arguments):
            (whole,) = super().attention(*arguments)
            return [replace(whole, weights=whole.weights * torch.inf)]

    told: list[str] = []
    guided = Guidance(MASK, (0,), GuidanceSettings(threshold=0.0))
    found = restore(Broken(torch.tensor(0.3), spread=0.2), starting_noise(), SIGMAS, guidance=guided, note=told.append)
    free = restore(ToyDenoiser(torch.tensor(0.3), spread=0.2), starting_noise(), SIGMAS)
    assert torch.equal(found.latents[-1], free.latents[-1])
    assert "gradient is not finite" in told[0]


def test_a_stage_that_breaks_without_guidance_is_an_error_that_names_the_step():
    class Broken(ToyDenoiser):
        def denoise(self, x, sigma):
            return super().denoise(x, sigma) * (torch.nan if float(sigma) == 2.0 else 1)

    with pytest.raises(FloatingPointError, match=r"behind step 2 of 4 \(sigma 2\); run the model in float32"):
        restore(Broken(torch.tensor(0.3)), starting_noise(), SIGMAS)


def test_a_latent_too_large_for_half_precision_is_kept_in_full():
    far = restore(ToyDenoiser(torch.tensor(0.3)), starting_noise() * 1e5, SIGMAS)
    assert far.latents[0].dtype == torch.float32
    assert torch.equal(far.latents[0], starting_noise() * 1e5)
    assert restore(ToyDenoiser(torch.tensor(0.3)), starting_noise(), SIGMAS).latents[0].dtype == torch.float16


# Soft edges


def test_a_soft_edge_falls_outwards_from_the_mask_in_equal_steps():
    mask = torch.zeros(64, 64)
    mask[:, 24:40] = 1
    row = latent_mask(mask, torch.zeros(1, 1, 8, 8), 2)[4].tolist()
    assert row == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3, 0])


@pytest.mark.parametrize("soft_edge", [0, 1, 3])
def test_with_any_edge_ones_are_no_fusion_and_zeros_the_previous_stage(soft_edge):
    denoiser = ToyDenoiser(torch.tensor(0.3), spread=0.2)
    free = restore(denoiser, starting_noise(), SIGMAS)
    before = restore(denoiser, starting_noise().flip(-1), SIGMAS)
    for mask, expected in ((torch.ones(64, 64), free), (torch.zeros(64, 64), before)):
        found = restore(denoiser, starting_noise(), SIGMAS, fusion=Fusion(mask, before, soft_edge))
        for a, b in zip(found.latents[1:], expected.latents[1:], strict=True):
            assert torch.equal(a, b)


def test_of_several_latents_each_is_fused_by_its_own_mask():
    masks = torch.zeros(2, 64, 64)
    masks[0, :, :32], masks[1, 32:] = 1, 1
    x, before = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    fused = fuse(x, before, latent_mask(masks, x))
    assert torch.equal(fused[0], 1 - latent_mask(masks[0], x).expand(3, -1, -1))
    assert torch.equal(fused[1], 1 - latent_mask(masks[1], x).expand(3, -1, -1))
