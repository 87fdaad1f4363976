"""The decoder inside ComfyUI: the same as its own sampler where it should be, and gradients where they are needed."""

from __future__ import annotations

import pytest
import torch

from sedic.models.embedded import LATENT_CHANNELS

from .scene import STEPS, embedded_scene, guidance, sample, stock

SAMPLERS = ("euler", "euler_ancestral", "heun", "dpm_2", "ddim", "dpmpp_2m", "lcm")
# A scheduler gives the node and the stock sampler the same numbers, whatever the solver: two spacings for every solver,
# and each scheduler for one solver that looks at a step alone and for one that looks further.
PAIRS = [
    *((sampler, scheduler) for sampler in SAMPLERS for scheduler in ("simple", "karras")),
    *((sampler, scheduler) for sampler in ("euler", "dpmpp_2m") for scheduler in ("normal", "ddim_uniform", "beta")),
    ("heun", "beta"),
    ("dpm_2", "ddim_uniform"),
]


@pytest.fixture(scope="module")
def unguided(pack):
    """One scene for all runs that change nothing in it."""
    return embedded_scene(pack)


@pytest.mark.parametrize(("sampler", "scheduler"), PAIRS)
def test_without_guidance_and_fusion_the_latent_is_the_stock_samplers_bit_for_bit(
    restore, unguided, sampler, scheduler
):
    latent, _, _ = sample(restore, unguided, sampler=sampler, scheduler=scheduler)
    expected = stock(unguided, sampler, scheduler=scheduler)
    assert torch.equal(latent["samples"], expected)
    assert expected.std() > 0.1


def test_every_sampler_that_the_node_offers_is_among_those_proven_exact(restore):
    assert set(restore.SOLVERS) == set(SAMPLERS)


def test_control_net_plugged_in_is_the_stock_apply_node_bit_for_bit(restore, stage):
    latent, _, _ = sample(restore, stage, control_net=stage.control_net)
    plain, _, _ = sample(restore, stage)
    assert torch.equal(latent["samples"], stock(stage, "euler", stage.control_net))
    assert not torch.equal(latent["samples"], plain["samples"])


@pytest.mark.parametrize("sampler", ["euler", "lcm"])
def test_mask_of_ones_is_no_fusion_and_of_zeros_the_previous_stage(restore, stage, library, sampler):
    free, trajectory, _ = sample(restore, stage, sampler=sampler)
    fusion = library.fusion.Fusion(torch.ones(128, 64), trajectory)
    assert torch.equal(sample(restore, stage, sampler=sampler, fusion=fusion)[0]["samples"], free["samples"])
    nothing = library.fusion.Fusion(torch.zeros(128, 64), trajectory)
    latent, same, image = sample(restore, stage, stage=1, fusion=nothing)
    assert torch.equal(latent["samples"], free["samples"])
    assert same is trajectory
    assert image is stage.image


@pytest.mark.parametrize("sampler", ["euler", "lcm"])
def test_outside_the_mask_the_previous_trajectory_is_kept(restore, stage, library, sampler):
    _, trajectory, _ = sample(restore, stage, sampler=sampler)
    mask = torch.zeros(128, 64)
    mask[:64] = 1
    fused = sample(restore, stage, stage=2, sampler=sampler, fusion=library.fusion.Fusion(mask, trajectory))[1]
    for now, before in zip(fused.latents[1:], trajectory.latents[1:], strict=True):
        assert torch.equal(now[..., 8:, :], before[..., 8:, :])
        assert not torch.equal(now[..., :8, :], before[..., :8, :])


def test_other_noise_levels_than_the_previous_stage_are_an_error_that_names_both(restore, stage, library):
    _, trajectory, _ = sample(restore, stage)
    fusion = library.fusion.Fusion(stage.mask, trajectory)
    with pytest.raises(ValueError, match=r"ran 3 steps .* this one 4 steps"):
        sample(restore, stage, fusion=fusion, steps=4)


def test_color_fix_gives_the_image_the_references_colours_and_leaves_the_latent(restore, stage, library):
    latent, _, plain = sample(restore, stage)
    reference = stage.image.flip(1)
    same, _, fixed = sample(restore, stage, reference=reference, color_fix=True)
    assert torch.equal(same["samples"], latent["samples"])
    expected = library.color_fix.fix_colors(plain.movedim(-1, 1), reference.movedim(-1, 1)).clamp(0, 1)
    torch.testing.assert_close(fixed, expected.movedim(1, -1))
    assert not torch.equal(fixed, plain)


def test_color_fix_without_a_fitting_reference_is_an_error_that_says_what_to_do(restore, stage, library):
    with pytest.raises(library.errors.SedicError, match="plug it in or turn color_fix off"):
        sample(restore, stage, color_fix=True)
    with pytest.raises(library.errors.SedicError, match="64×128; the one plugged in is 64×96"):
        sample(restore, stage, color_fix=True, reference=stage.image[:, :96])


def test_prompt_without_the_name_is_an_error_that_quotes_it(library, steering, stage):
    with pytest.raises(library.errors.SedicError, match="green door"):
        steering.AttentionGuidance.execute(
            clip=stage.clip, prompt=stage.prompt, name="green door", mask=stage.mask[None], eta=40.0, t_prime=0.8,
            updates=5, threshold=0.2, layers="first up block",
        )  # fmt: skip


def test_sampler_select_in_a_guider_equals_orag_sampler(comfy, restore, steering, stage, library):
    """The step loop offered as SAMPLER does what the node does."""
    guided = guidance(library, steering, stage, eta=40.0)
    expected, _, _ = sample(restore, stage, guidance=guided)
    with torch.inference_mode():
        sampler, model = restore.ORAGSamplerSelect.execute(stage.model, "euler", guided).result
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(stage.positive, stage.negative)
        guider.set_cfg(2.0)
        latent = torch.zeros(1, LATENT_CHANNELS, 16, 8)
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", STEPS)
        noise = comfy.sample.prepare_noise(latent, 3)
        assert torch.equal(guider.sample(noise, latent, sampler, sigmas, seed=3), expected["samples"])
