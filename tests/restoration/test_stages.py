"""Algorithm 1 on models of a few lines: its order, what each switch changes, and what stays the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sedic.errors import SedicError
from sedic.restoration import stages
from sedic.restoration.color_fix import fix_colors, smoothed
from sedic.restoration.denoiser import variance_exploding
from sedic.restoration.fusion import Trajectory
from sedic.restoration.guidance import GuidanceSettings
from sedic.restoration.settings import NEGATIVE, Settings
from sedic.restoration.stages import FINAL_STAGE, decode, restore
from sedic.restoration.starts import low_frequencies, pad_to_multiple, stage_noise
from sedic.semantics import SceneObject, Semantics

from .scenes import FEW, final, picture, run, scene
from .toy import ToyModels


@pytest.fixture
def trajectories(monkeypatch) -> list[Trajectory]:
    """What each stage of ``decode`` hands to the next."""
    found: list[Trajectory] = []

    def watched(*arguments, **options):
        found.append(restore(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(stages, "restore", watched)
    return found


# The order of stages


@pytest.mark.parametrize("objects", range(4))
def test_objects_come_in_their_order_and_the_whole_last(objects):
    models, made = run(scene(objects))
    assert [stage.name for stage in made] == [f"object{j + 1}" for j in range(objects)] + ["final"]
    texts = [o.prompt for o in scene(objects).objects] + ["a table"]
    assert [text for text, _, _, _ in models.conditions] == texts
    assert {negative for _, negative, _, _ in models.conditions} == {NEGATIVE}
    assert [scale for _, _, scale, _ in models.conditions] == [3.5] * objects + [7.0]
    assert models.schedules == [("simple", 4)] * objects + [("simple", 3)]
    assert [len(denoiser.denoised_at) for denoiser in models.denoisers] == [4] * objects + [3]


def test_each_stage_is_conditioned_on_the_picture_restored_so_far():
    models, made = run(scene(2))
    seen = [image for _, _, _, image in models.conditions]
    for image, expected in zip(seen, [picture(), made[0].image, made[1].image], strict=True):
        assert torch.equal(image, expected)


def test_condition_on_the_reference_is_the_last_stages_alone():
    models, _ = run(scene(2), replace(FEW, condition="reference"))
    first, second, last = (image for _, _, _, image in models.conditions)
    assert torch.equal(first, picture())
    assert not torch.equal(second, picture())
    assert torch.equal(last, picture())


def test_objects_without_a_mask_are_skipped_and_keep_their_numbers():
    _, cup, saucer = scene(3).objects
    absent, empty = replace(cup, mask=None), replace(cup, mask=np.zeros((64, 64), bool))
    models, made = run(Semantics("a table", (absent, empty, saucer)))
    assert [stage.name for stage in made] == ["object3", "final"]
    assert len(models.conditions) == 2
    whole = run(Semantics("a table", (absent, empty)))[1]
    assert torch.equal(whole[-1].image, run(scene(0))[1][-1].image)


@pytest.mark.parametrize("objects", range(3))
def test_until_object_leaves_the_last_stage_out(objects):
    models, made = run(scene(objects), until="object")
    assert [stage.name for stage in made] == [f"object{j + 1}" for j in range(objects)]
    assert len(models.conditions) == objects


def test_stages_are_made_one_by_one():
    models = ToyModels()
    made = decode(models, picture(), scene(2), FEW)
    next(made)
    assert len(models.conditions) == 1


def test_first_object_is_fused_with_the_noised_reference_and_the_second_with_the_first(trajectories):
    run(scene(3))
    first, second, *_ = trajectories
    latent = ToyModels().encode(picture())
    reference = Trajectory.of_latent(latent, first.sigmas, stage_noise(latent, 0, 0), variance_exploding)
    columns = torch.arange(8)
    for step in range(1, 5):
        outside = columns >= 2
        expected = reference.latents[step].to(first.latents[step].dtype)
        assert torch.equal(first.latents[step][..., outside], expected[..., outside])
        outside = (columns < 2) | (columns >= 4)
        assert torch.equal(second.latents[step][..., outside], first.latents[step][..., outside])
    assert not torch.equal(first.latents[4][..., 2:6, :2], latent[..., 2:6, :2])


def test_trajectories_are_kept_only_for_a_stage_that_is_fused_with_them(trajectories):
    run(scene(3))
    assert [len(trajectory.latents) for trajectory in trajectories] == [5, 5, 1, 1]
    trajectories.clear()
    run(scene(3), replace(FEW, fuse=False))
    assert [len(trajectory.latents) for trajectory in trajectories] == [1] * 4


def test_color_fix_holds_every_stage_to_the_references_colours():
    _, made = run(scene(2), replace(FEW, color_fix=True))
    _, plain = run(scene(2))
    for fixed, drifted in zip(made, plain, strict=True):
        assert fixed.image.min() >= 0
        assert fixed.image.max() <= 1
        off, before = ([*smoothed(stage.image - picture())][-1].abs().max() for stage in (fixed, drifted))
        assert off < before / 2
    first = fix_colors(plain[0].image, picture()).clamp(0, 1)
    assert torch.equal(made[0].image, first)


def test_detail_holds_every_stage_to_what_the_reference_shows():
    _, made = run(scene(2), replace(FEW, color_fix=True, detail=0.5))
    _, plain = run(scene(2), replace(FEW, color_fix=True))
    assert torch.equal(made[0].image, fix_colors(run(scene(2))[1][0].image, picture(), 0.5).clamp(0, 1))
    for held, free in zip(made, plain, strict=True):
        assert (held.image - picture()).square().mean() < (free.image - picture()).square().mean() / 2
    with pytest.raises(SedicError, match="0 to 1"):
        Settings(detail=1.5)


# Sizes


@pytest.mark.parametrize("size", [(70, 45), (64, 65), (16, 130)])
def test_sizes_that_are_no_multiple_of_64_come_back_as_they_were(size):
    semantics = (
        scene(1, *size) if size[0] > 16 else Semantics("a table", (SceneObject("cup", "", np.ones(size, bool)),))
    )
    models, made = run(semantics, size=size)
    assert [stage.image.shape for stage in made] == [(1, 3, *size)] * 2
    assert made[0].latent.shape[-2:] == (-(-size[0] // 64) * 8, -(-size[1] // 64) * 8)


def test_padding_repeats_the_edge_and_a_fitting_picture_is_left_alone():
    image = picture(3, 5)
    padded = pad_to_multiple(image, 4)
    assert padded.shape == (1, 3, 4, 8)
    assert torch.equal(padded[..., :3, :5], image)
    assert torch.equal(padded[..., 3, :5], image[..., 2, :])
    assert torch.equal(padded[..., :3, 7], image[..., :, 4])
    assert pad_to_multiple(padded, 4) is padded
    assert pad_to_multiple(picture(1, 1)).shape == (1, 3, 64, 64)


# Noise


def test_same_seed_same_picture_and_another_seed_another():
    assert torch.equal(final(FEW), final(FEW))
    assert not torch.equal(final(FEW), final(replace(FEW, seed=1)))


def test_stages_start_from_noise_of_their_own():
    latent = torch.zeros(1, 3, 8, 8)
    drawn = [stage_noise(latent, 5, stage) for stage in (0, 1, 2, 3, FINAL_STAGE)]
    for a in range(5):
        assert torch.equal(drawn[a], stage_noise(latent, 5, (0, 1, 2, 3, FINAL_STAGE)[a]))
        assert not any(torch.equal(drawn[a], drawn[b]) for b in range(a))
    assert abs(torch.stack(drawn).std().item() - 1) < 0.1


@pytest.mark.parametrize("seed", [(1 << 63) - 1, (1 << 64) - 1])
def test_every_seed_that_a_file_can_hold_draws_noise(seed):
    latent = torch.zeros(1, 1, 2, 2)
    assert not torch.equal(stage_noise(latent, seed, 0), stage_noise(latent, seed, FINAL_STAGE))


# Switches


@pytest.mark.parametrize(
    "change",
    [
        {"fuse": False},
        {"guide": False},
        {"sampler": "heun"},
        {"scheduler": "karras"},
        {"object_steps": 5},
        {"overall_steps": 5},
        {"condition": "reference"},
        {"start": "low frequencies"},
        {"color_fix": True},
        {"guidance": GuidanceSettings(eta=1.0, threshold=0.0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_switch_changes_the_picture(change):
    loose = replace(FEW, guidance=GuidanceSettings(threshold=0.0))
    assert not torch.equal(final(loose), final(replace(loose, **change)))


def test_without_guidance_no_attention_is_computed():
    models, _ = run(scene(2), replace(FEW, guide=False))
    assert not any(denoiser.attention_at for denoiser in models.denoisers)


def test_only_object_stages_are_guided():
    models, _ = run(scene(2), replace(FEW, guidance=GuidanceSettings(threshold=0.0)))
    assert [bool(denoiser.attention_at) for denoiser in models.denoisers] == [True, True, False]


def test_a_name_whose_tokens_are_not_found_is_restored_without_guidance():
    lone = Semantics("a table", (replace(scene(1).objects[0], name="unknown"),))
    models, made = run(lone)
    assert [stage.name for stage in made] == ["object1", "final"]
    assert not models.denoisers[0].attention_at


def test_scales_and_negative_prompt_are_passed_on():
    models, _ = run(scene(1), replace(FEW, object_scale=2.0, overall_scale=9.0, negative="ugly"))
    assert [(negative, scale) for _, negative, scale, _ in models.conditions] == [("ugly", 2.0), ("ugly", 9.0)]


def test_only_the_last_stage_starts_around_low_frequencies():
    models, made = run(scene(1), replace(FEW, start="low frequencies"))
    assert not models.around[0].any()
    torch.testing.assert_close(models.around[1], low_frequencies(models.encode(made[0].image)))
    assert not any(latent.any() for latent in run(scene(1))[0].around)


def test_low_frequencies_keep_the_mean_and_lose_the_detail():
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    smooth = low_frequencies(board[None, None].float())
    torch.testing.assert_close(smooth, torch.full((1, 1, 16, 16), 0.5))
    assert low_frequencies(torch.ones(1, 2, 3, 2)).shape == (1, 2, 3, 2)


def test_defaults_are_the_papers():
    settings = Settings()
    assert (settings.object_steps, settings.overall_steps) == (10, 20)
    assert (settings.object_scale, settings.overall_scale) == (3.5, 7.0)
    assert settings.guidance.eta == 40


def test_progress_is_asked_for_by_stage():
    steps: dict[str, int] = {}

    def progress(name):
        def tell(step, denoised, x):
            steps[name] = step + 1

        return tell

    run(scene(1), progress=progress)
    assert steps == {"object1": 4, "final": 3}
