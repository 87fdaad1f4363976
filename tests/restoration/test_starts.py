"""What a stage starts from: noise levels, noise that goes on, and the ways to begin the last stage."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sedic.errors import SedicError
from sedic.restoration.settings import Settings
from sedic.restoration.starts import low_frequencies, noise_levels_of, stage_noise, step_noise

from .scenes import FEW, final, run, scene

LATENT = torch.zeros(1, 2, 4, 4)


def even(steps: int) -> torch.Tensor:
    return torch.linspace(10, 0, steps + 1)


def test_a_weaker_start_takes_the_last_steps_of_a_longer_run():
    assert torch.equal(noise_levels_of(even, 4, "euler"), even(4))
    half = noise_levels_of(even, 4, "euler", 0.5)
    assert torch.equal(half, even(8)[-5:])
    assert half[0] == 5


def test_dpm_2_leaves_the_level_before_zero_out_as_comfyui_does():
    sigmas = noise_levels_of(even, 4, "dpm_2")
    assert torch.equal(sigmas, torch.tensor([10.0, 8.0, 6.0, 4.0, 0.0]))
    assert noise_levels_of(even, 4, "dpm_2", 0.5).shape == (5,)


def test_noise_of_the_steps_goes_on_where_the_start_ended_and_begins_anew_alike():
    first, again = step_noise(LATENT, 3, 1), step_noise(LATENT, 3, 1)
    drawn = [first(None, None) for _ in range(3)]
    assert all(torch.equal(a, again(None, None)) for a in drawn)
    everything = [stage_noise(LATENT, 3, 1), *drawn]
    assert not any(torch.equal(a, b) for k, a in enumerate(everything) for b in everything[:k])
    assert not torch.equal(step_noise(LATENT, 3, 2)(None, None), drawn[0])


def test_a_noised_picture_starts_from_the_picture_and_keeps_the_more_the_weaker():
    models, made = run(scene(1), replace(FEW, start="noised picture", strength=0.5))
    picture = models.encode(made[0].image)
    assert torch.equal(models.around[1], picture)
    assert models.schedules[1] == ("simple", 6), "three steps of six"
    assert torch.equal(models.around[0], torch.zeros_like(picture)), "objects begin from noise"
    far, near = (final(replace(FEW, start="noised picture", strength=s), scene(1)) for s in (1.0, 0.2))
    restored = made[0].image
    assert (near - restored).abs().mean() < (far - restored).abs().mean()


def test_low_frequencies_are_another_start_than_the_picture():
    _, made = run(scene(1), FEW)
    models, _ = run(scene(1), replace(FEW, start="low frequencies"))
    torch.testing.assert_close(models.around[1], low_frequencies(models.encode(made[0].image)))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sampler": "lms"}, "'lms' cannot be guided"),
        ({"condition": "none"}, "'none' does not exist; use one of progressive, reference"),
        ({"start": "middle"}, "use one of noise, low frequencies, noised picture"),
        ({"tokens": "verbs"}, "use one of name, content words, chosen words"),
        ({"order": "loudest"}, "neither one of"),
        ({"strength": 0.0}, "above 0 and is at most 1"),
        ({"strength": 1.5}, "above 0 and is at most 1"),
        ({"soft_edge": -1}, "soft edge -1"),
        ({"working_size": 100}, "100 is no multiple of 64"),
    ],
)
def test_each_wrong_setting_is_told(wrong, told):
    with pytest.raises(SedicError, match=told):
        Settings(**wrong)


# What a stage costs


def test_autoencoder_runs_once_each_way_for_a_stage():
    models, _ = run(scene(3), replace(FEW, start="noised picture"))
    assert models.coded == ["encode", *["decode", "encode"] * 3, "decode"]


def test_every_object_may_have_its_own_scale_and_the_last_serves_the_rest():
    models, _ = run(scene(3), replace(FEW, object_scales=(2.0, 5.0), object_scale=4.0))
    assert [scale for _, _, scale, _ in models.conditions] == [2.0, 5.0, 4.0, 7.0]


def test_order_changes_the_stages_and_keeps_the_objects_names():
    _, made = run(scene(3), replace(FEW, order="3,1"))
    assert [stage.name for stage in made] == ["object3", "object1", "object2", "final"]
