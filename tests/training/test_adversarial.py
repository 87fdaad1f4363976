"""The finishing training: what its terms see, where its examples stand, and that it runs and resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image

from sedic.demo import PHOTOGRAPH
from sedic.models.embedded import PARTS, WEIGHTS, load
from sedic.training.data import Picture, to_tensor
from sedic.training.device import Device
from sedic.training.diffusion import adversarial
from sedic.training.diffusion import networks as diffusion
from sedic.training.diffusion.adversarial import Config, Judge, steps_before
from sedic.training.diffusion.examples import Examples, compact_reference
from sedic.training.diffusion.likeness import Likeness
from sedic.training.diffusion.perceptual import Critic, Features, distances, textures
from sedic.training.diffusion.scenes import crops

from .apart import THERE, two_devices

CHANNELS = (16, 24, 40, 112, 320)


def features(seed: int, tilt: float = 0.0) -> list[torch.Tensor]:
    """Random ones of unit length as of 64×64 pixels, whose first channels are larger by ``tilt``."""
    random = torch.Generator().manual_seed(seed)
    found = []
    for channels, side in zip(CHANNELS, (32, 16, 8, 4, 2), strict=True):
        x = torch.randn(2, channels, side, side, generator=random)
        x[:, :4] += tilt
        found.append(x / x.norm(dim=1, keepdim=True))
    return found


def test_distances_are_of_each_picture_and_zero_for_itself():
    one, other = features(0), features(1)
    assert torch.equal(distances(one, one), torch.zeros(5, 2))
    mixed = [torch.cat([p[:1], q[1:]]) for p, q in zip(one, other, strict=True)]
    found = distances(one, mixed)
    assert not found[:, 0].any()
    assert (found[:, 1] > 0.5).all()


def test_textures_are_equal_wherever_their_parts_are_in_a_window():
    one, tilted = features(0), features(1, tilt=3.0)
    turned = [x.flip(2, 3) for x in one]
    assert (distances(one, turned) > 0.5).all()
    assert textures(one, turned).max() < 1e-9
    assert textures(one, tilted).min() > 0.2


def test_features_of_a_photograph_have_length_one_and_weaker_contrast_shortens_fine_ones():
    pixels = to_tensor(np.asarray(Image.open(PHOTOGRAPH).convert("RGB"))[None, :256, :256])
    strong, weak = ([x.square().sum(1).mean() for x in Features()(contrast * pixels)] for contrast in (1.0, 0.5))
    assert all(0.5 < square < 2 for square in strong)
    assert weak[0] < 0.5 * strong[0]
    assert weak[1] < 0.8 * strong[1]


def test_textures_tell_how_strong_a_contrast_is_and_distances_do_not():
    one = features(0)
    weaker = [0.7 * x for x in one]
    assert distances(one, weaker).max() < 1e-6
    assert (textures(one, weaker) > 0.04).all()


def test_the_critic_learns_to_tell_weak_contrasts_from_strong_ones_by_place_and_by_window():
    torch.manual_seed(0)
    critic = Critic(4e-3)
    for step in range(1, 60, 2):
        critic.learn([0.5 * x for x in features(step)], features(step + 1))
    strong, weak = critic.network(features(1000)), critic.network([0.5 * x for x in features(1000)])
    assert len(strong) == 8
    for p, q in zip(strong, weak, strict=True):
        assert p.mean() > q.mean() + 0.1


def test_the_critic_learns_to_tell_photographs_from_restored_pictures():
    torch.manual_seed(0)
    critic = Critic(4e-3)
    first = critic.learn(features(0), features(1, tilt=3.0))
    for step in range(2, 40, 2):
        last = critic.learn(features(step), features(step + 1, tilt=3.0))
    assert last < 0.3 * first
    assert critic.displeasure(features(1001, tilt=3.0)) < critic.displeasure(features(1000))


def test_displeasure_moves_the_picture_and_not_the_critic():
    critic = Critic(2e-3)
    restored = [x.requires_grad_(True) for x in features(0)]
    critic.displeasure(restored).backward()
    assert all(restored[stage].grad is not None for stage in (0, 1, 2, 3))
    assert all(p.grad is None and p.requires_grad for p in critic.network.parameters())


def test_a_critic_that_is_read_again_goes_on_as_it_was():
    first, second = Critic(2e-3), Critic(2e-3)
    first.learn(features(0), features(1))
    second.load_state_dict(first.state_dict())
    assert first.learn(features(2), features(3)) == second.learn(features(2), features(3))
    assert first.steps == second.steps == 2


KEPT = torch.linspace(1, 0.068, 1000)
SPREAD = (1 - KEPT[-1] ** 2).sqrt()


def predicts_ones(z, time, tokens, condition, strength):
    """Networks whose clean picture is one everywhere."""
    assert (time == 999).all()
    return (KEPT[-1] * z - 1) / SPREAD


def begun(
    roundtrip: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = lambda clean, _: clean, **config: float
) -> dict[str, torch.Tensor]:
    """An example with one region, where the steps before it leave it."""
    inside = torch.zeros(1, 2, 8, 8)
    inside[:, 0, 2:5, 3:] = 1
    zeros = torch.zeros(1, 4, 8, 8)
    batch = {"target": zeros, "condition": zeros.clone(), "reference": zeros.clone(),
             "tokens": torch.zeros(1, 77, dtype=torch.long), "strength": torch.ones(1, 1, 1, 1),
             "masks": inside}  # fmt: skip
    steps_before(predicts_ones, batch, Config(**config), KEPT, roundtrip)
    return batch


def test_examples_begin_from_noise():
    torch.manual_seed(0)
    batch = begun(jumps=0.0, restored=0.0)
    assert batch["time"].tolist() == [999]
    assert 0.7 < batch["z"].std() < 1.3
    assert not batch["condition"].any()


def test_a_jump_lands_where_ddim_does():
    torch.manual_seed(0)
    noise = torch.randn(1, 4, 8, 8)
    torch.manual_seed(0)
    batch = begun(jumps=1.0, restored=0.0)
    time = batch["time"][0]
    assert 199 <= time < 799
    estimate = (noise - KEPT[-1]) / SPREAD  # of the noise, if the clean picture is one
    wanted = KEPT[time] + (1 - KEPT[time] ** 2).sqrt() * estimate
    assert torch.allclose(batch["z"], wanted, atol=1e-4)
    assert not batch["condition"].any()


def test_half_of_the_jumps_land_on_the_second_of_two_steps():
    torch.manual_seed(0)
    times = [begun(jumps=1.0, restored=0.0)["time"].item() for _ in range(60)]
    assert all(199 <= time < 799 for time in times)
    assert 20 < times.count(499) < 40


def test_stages_before_restore_one_region_or_everything_through_pixels():
    torch.manual_seed(0)
    found = [begun(jumps=0.0, restored=1.0) for _ in range(20)]
    assert all(batch["time"].tolist() == [999] for batch in found)
    region = found[0]["masks"][0, 0].expand(4, 8, 8)
    conditions = [batch["condition"][0] for batch in found]
    assert all(torch.allclose(x, region) or torch.allclose(x, torch.ones(4, 8, 8)) for x in conditions)
    assert 2 < sum(torch.allclose(x, region) for x in conditions) < 18
    shown = [begun(lambda clean, _: 3 * clean, jumps=0.0, restored=1.0)["condition"].max() for _ in range(4)]
    assert torch.allclose(torch.stack(shown), torch.tensor(3.0))


def test_stages_before_have_the_colours_of_the_reference_not_of_each_other():
    torch.manual_seed(0)
    seen = []

    def roundtrip(clean: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
        seen.append(references)
        return clean

    batches = [begun(roundtrip, jumps=0.0, restored=1.0) for _ in range(10)]
    assert len(seen) > len(batches), "some have two stages before"
    assert not any(references.any() for references in [*seen, *(batch["reference"] for batch in batches)])


def test_all_terms_have_a_gradient_for_the_picture_and_the_discriminator_waits():
    torch.manual_seed(0)
    judge = Judge(Config(critic_steps=1))
    decoded = torch.randn(2, 3, 64, 64).clamp(-1, 1).requires_grad_(True)
    photograph = torch.zeros(2, 3, 64, 64)
    assert judge(decoded, photograph, 1)["displeasure"] == 0
    terms = judge(decoded, photograph, 1)
    for name in ("pixels", "tones", "weave", "features", "displeasure"):
        assert torch.autograd.grad(terms[name], decoded, retain_graph=True)[0].abs().sum() > 0, name
    (moved,) = torch.autograd.grad(terms["displeasure"], decoded)
    assert not moved[1].any()  # a decoded photograph is not judged


def test_ssimulacra2_is_a_term_of_the_predictions_where_it_has_a_weight():
    photograph = torch.zeros(2, 3, 64, 64)
    decoded = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).clamp(-1, 1).requires_grad_(True)
    assert "likeness" not in Judge(Config())(decoded, photograph, 1)
    term = Judge(Config(likeness=0.5))(decoded, photograph, 1)["likeness"]
    assert term == -0.5 * Likeness()(decoded[:1], photograph[:1])[0]
    (moved,) = torch.autograd.grad(term, decoded)
    assert moved[0].any()
    assert not moved[1].any()


def test_a_pattern_that_repeats_with_the_cells_costs_more_than_grain():
    torch.manual_seed(0)
    judge, photograph = Judge(Config()), torch.zeros(1, 3, 128, 128)
    block, grain = torch.randn(1, 3, 8, 8) / 10, torch.randn(1, 3, 128, 128) / 10
    woven, grainy = (judge(x, photograph, 1)["weave"] for x in (block.repeat(1, 1, 16, 16), grain))
    assert woven > 5 * grainy
    assert grainy > 0


def test_references_of_training_are_by_the_default_codec_and_of_many_qualities():
    pixels = np.repeat(np.repeat(np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8), 8, 0), 8, 1)
    found = [compact_reference(pixels, seed) for seed in (0, 1, 2, 0)]
    assert np.array_equal(found[0], found[3])
    assert not np.array_equal(found[0], found[1])
    errors = [np.square(x.astype(float) - pixels).mean() for x in found]
    assert max(errors) < np.var(pixels.astype(float))


def test_a_share_of_the_examples_is_from_larger_pictures(tmp_path):
    count = 240
    np.save(tmp_path / "crops.npy", np.zeros((count, 3, 8, 8, 3), np.uint8))
    np.save(tmp_path / "latents.npy", np.zeros((count, 4, 1, 1, 1), np.float16))
    np.save(tmp_path / "masks.npy", np.zeros((count, 4, 1, 1), np.uint8))
    for of_larger, wanted in ((30, 0.9), (0, 0.0), (count, 1.0)):
        words = [{"captions": [], "names": [], "details": [], "larger": row < of_larger} for row in range(count)]
        (tmp_path / "words.json").write_text(json.dumps(words), encoding="utf-8")
        torch.manual_seed(0)
        rows = Examples(tmp_path, Config()).draw(1000, 0.9)
        assert not (rows % 60 == 0).any(), "held out"
        assert len(set(rows.tolist())) > 80, "not the same ones"
        assert abs((rows < of_larger).float().mean() - wanted) < 0.04


def test_crops_say_whether_their_picture_is_larger(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(96, 160, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    made = {size: crops(Picture(tmp_path / "a.png"), size, 0) for size in (64, 96)}
    assert all(words.larger for _, _, words in made[64])
    assert len(made[96]) == 2
    assert not any(words.larger for _, _, words in made[96])


@pytest.mark.processor
def test_short_trainings_on_another_device_leave_weights_that_load_and_resume_here(tmp_path):
    """All of it: crops, latents, both trainings, sample sheets and the files."""
    rng = np.random.default_rng(0)
    data, runs = tmp_path / "data", tmp_path / "runs"
    data.mkdir()
    shutil.copytree(WEIGHTS, runs / "autoencoder", ignore=lambda _, names: [n for n in names if "auto" not in n])
    lines = []
    for number in range(2):
        pixels = np.repeat(np.repeat(rng.integers(256, size=(8, 8, 3), dtype=np.uint8), 16, 0), 16, 1)
        Image.fromarray(pixels).save(data / f"{number}.png")
        lines.append({"file": f"{number}.png", "width": 128, "height": 128, "captions": ["squares"], "objects": [],
                      "masks_known": False, "dataset": "made", "source": "made", "licence": "CC0"})  # fmt: skip
    (data / "annotations.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    size = 128
    short = diffusion.Config(minutes=0.001, size=size, small_batch=2, batch=2)
    with two_devices():
        diffusion.train(data, runs / "diffusion", short, Device(THERE))
    assert Examples(runs / "diffusion", Config()).latents.shape[1] == 4
    out = runs / "adversarial"
    log = out / "log.jsonl"
    steps, minutes = [], 0.0
    for place, whole_from in ((THERE, 2.0), ("cpu", 0.0)):
        # Time for one step more, however long the first one took.
        config = Config(minutes=minutes + 0.001, size=size, batch=4, clean=1, whole_from=whole_from)
        with two_devices() if place == THERE else nullcontext():
            adversarial.train(data, out, config, Device(place))
        last = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        steps, minutes = [*steps, last["step"]], last["minutes"] + 0.01  # it is rounded
        assert last["distance_restored"] > 0
        assert last["psnr_autoencoder"] > last["psnr_reference"]
    assert 0 < steps[0] < steps[1]
    assert (out / "samples" / f"{steps[-1]:06d}.png").is_file()
    assert (out / "critic.pt").is_file()
    for part in PARTS:
        assert all(bool(torch.isfinite(p).all()) for p in load(part, out).parameters())
    encoder = load("autoencoder", runs / "autoencoder").encoder.state_dict()
    assert all(
        torch.equal(a, b)
        for a, b in zip(encoder.values(), load("autoencoder", out).encoder.state_dict().values(), strict=True)
    )
