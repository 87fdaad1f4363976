"""Several pictures, latents or masks at once: each picture is restored with its own, or a sentence says what is odd."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sedic.models.embedded import LATENT_CHANNELS

from .scene import guidance, sample, sample_node

SQUARES = ((slice(0, 64), slice(0, 32)), (slice(64, 128), slice(32, 64)))


@pytest.fixture
def masks():
    """One for each of two pictures."""
    both = torch.zeros(2, 128, 64)
    for mask, place in zip(both, SQUARES, strict=True):
        mask[place] = 1
    return both


@pytest.fixture
def images(stage):
    return torch.cat([stage.image, stage.image.flip(1)])


def guided_by(library, steering, stage, mask, **settings):
    return dataclasses.replace(guidance(library, steering, stage, eta=40.0, **settings), mask=mask)


def test_every_picture_of_a_batch_is_what_it_would_be_alone(restore, steering, stage, library, images, masks):
    """Image, latent, trajectory, with its own mask, its own stage before, its own reference's colours, its own hint."""
    options = {"control_net": stage.control_net, "steps": 2, "color_fix": True}
    fusion = library.fusion.Fusion(masks, images)
    guided = guided_by(library, steering, stage, masks)
    latent, trajectory, image = sample(
        restore, stage, image=images, guidance=guided, fusion=fusion, reference=images, **options
    )
    assert image.shape == images.shape
    for i in range(2):
        own = images[i : i + 1]
        alone = sample(
            restore, stage, image=own, guidance=guided_by(library, steering, stage, masks[i]), reference=own,
            fusion=library.fusion.Fusion(masks[i], own), **options,
        )  # fmt: skip
        assert torch.equal(latent["samples"][i : i + 1], alone[0]["samples"])
        assert torch.equal(image[i : i + 1], alone[2])
        for all_of, one in zip(trajectory.latents, alone[1].latents, strict=True):
            assert torch.equal(all_of[i : i + 1], one)
    assert not torch.equal(image[0], image[1])


def test_a_next_stage_takes_each_pictures_own_trajectory(restore, stage, library, images, masks):
    _, trajectory, image = sample(restore, stage, image=images, steps=2)
    fused = sample(restore, stage, image=image, steps=2, stage=2, fusion=library.fusion.Fusion(masks, trajectory))[1]
    for i in range(2):
        outside = (masks[i, ::8, ::8] == 0).expand(LATENT_CHANNELS, -1, -1)
        assert torch.equal(fused.latents[-1][i][outside], trajectory.latents[-1][i][outside])


def test_a_picture_without_an_object_passes_through_beside_one_that_has_it(restore, stage, library, images, masks):
    masks[1] = 0
    fusion = library.fusion.Fusion(masks, images)
    latent, trajectory, image = sample(restore, stage, image=images, steps=2, fusion=fusion)
    assert torch.equal(image[1], images[1])
    assert not torch.equal(image[0], images[0])
    assert torch.equal(trajectory.latents[-1][1], latent["samples"][1])
    # What the next stage fuses with is what it would have made of the picture's latent.
    later = library.fusion.Fusion(stage.mask, trajectory)
    both = sample(restore, stage, image=image, steps=2, stage=2, fusion=later)[0]["samples"]
    alone = sample(
        restore, stage, image=images[1:], steps=2, stage=2, fusion=library.fusion.Fusion(stage.mask, images[1:])
    )
    torch.testing.assert_close(both[1:], alone[0]["samples"])


def test_conditionings_own_control_net_shows_each_picture_its_own_hint(restore, stage, images):
    from .scene import apply_control

    scene = dataclasses.make_dataclass("Scene", ["image", "vae"])(images, stage.vae)
    positive, negative = apply_control(scene, stage.control_net, stage.positive, stage.negative)
    _, _, image = sample(restore, stage, image=images, positive=positive, negative=negative, steps=2)
    _, _, plugged = sample(restore, stage, image=images, control_net=stage.control_net, steps=2)
    assert torch.equal(image, plugged)


def test_several_masks_of_one_picture_are_united(restore, steering, stage, library, masks):
    united, _, _ = sample(restore, stage, steps=2, guidance=guided_by(library, steering, stage, masks.amax(0)),
                          fusion=library.fusion.Fusion(masks.amax(0), stage.image))  # fmt: skip
    several, _, _ = sample(restore, stage, steps=2, guidance=guided_by(library, steering, stage, masks),
                           fusion=library.fusion.Fusion(masks, stage.image))  # fmt: skip
    assert torch.equal(several["samples"], united["samples"])


def test_nodes_hand_on_all_masks(steering, stage, masks):
    (guided,) = steering.AttentionGuidance.execute(
        clip=stage.clip, prompt=stage.prompt, name="red cup", mask=masks, eta=40.0, t_prime=0.8, updates=5,
        threshold=0.2, layers="first up block",
    ).result  # fmt: skip
    (fusion,) = steering.LatentMaskFuse.execute(masks, stage.image).result
    assert torch.equal(guided.mask, masks)
    assert torch.equal(fusion.mask, masks)


def test_other_numbers_of_masks_or_pictures_are_a_sentence_with_both(restore, stage, library, images, masks):
    with pytest.raises(library.errors.SedicError, match="3 masks for 2 pictures"):
        sample(restore, stage, image=images, fusion=library.fusion.Fusion(torch.ones(3, 128, 64), images))
    with pytest.raises(library.errors.SedicError, match="3 pictures to fuse with for 2 pictures"):
        sample(restore, stage, image=images, fusion=library.fusion.Fusion(masks, images[[0, 1, 0]]))
    with pytest.raises(library.errors.SedicError, match="3 references for 2 pictures"):
        sample(restore, stage, image=images, reference=images[[0, 1, 0]], color_fix=True)


def test_the_final_stage_restores_each_picture(restore, stage, images):
    def final(image):
        with torch.inference_mode():
            return restore.GlobalRestore.execute(
                model=stage.model, positive=stage.positive, negative=stage.negative, vae=stage.vae, image=image, seed=3,
                steps=2, cfg=2.0, sampler="euler", scheduler="simple", strength=1.0, condition="progressive",
                start="noised picture", control_net=stage.control_net,
            ).result  # fmt: skip

    both, latent = final(images)
    for i in range(2):
        image, alone = final(images[i : i + 1])
        assert torch.equal(both[i : i + 1], image)
        assert torch.equal(latent["samples"][i : i + 1], alone["samples"])


def select(comfy, restore, stage, noise, guided=None, fusion=None, positive=None):
    """The latents of SamplerCustomAdvanced with ORAG Sampler Select, and of the stock sampler."""
    with torch.inference_mode():
        sampler, model = restore.ORAGSamplerSelect.execute(stage.model, "euler", guided, fusion).result
        results = []
        for each in (sampler, comfy.samplers.sampler_object("euler")):
            guider = comfy.samplers.CFGGuider(model)
            guider.set_conds(positive or stage.positive, stage.negative)
            guider.set_cfg(2.0)
            latent = torch.zeros_like(noise)
            results.append(guider.sample(noise, latent, each, torch.tensor([14.6, 5.0, 0.0]), seed=3))
    return results


def test_every_latent_of_a_batch_is_guided_in_sampler_select(comfy, restore, steering, stage, library, masks):
    noise = torch.randn(2, LATENT_CHANNELS, 16, 8, generator=torch.Generator().manual_seed(5))
    free, stock = select(comfy, restore, stage, noise)
    assert torch.equal(free, stock)
    both, _ = select(comfy, restore, stage, noise, guided_by(library, steering, stage, masks))
    for i in range(2):
        alone, _ = select(comfy, restore, stage, noise[i : i + 1], guided_by(library, steering, stage, masks[i]))
        torch.testing.assert_close(both[i : i + 1], alone, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(both[i], free[i], rtol=1e-2, atol=1e-2)


def test_latents_with_texts_and_hints_of_their_own_are_guided_by_them(
    comfy, restore, steering, stage, library, images, masks
):
    """A conditioning of two texts, and a ControlNet of two pictures, on two latents."""
    from .scene import apply_control

    noise = torch.randn(2, LATENT_CHANNELS, 16, 8, generator=torch.Generator().manual_seed(5))
    (text, options), *_ = stage.positive
    texts = torch.cat([text, 0.5 * text])

    def run(which):
        scene = dataclasses.make_dataclass("Scene", ["image", "vae"])(images[which], stage.vae)
        positive = [[texts[which], options]]
        positive, _ = apply_control(scene, stage.control_net, positive, stage.negative)
        mask = masks if len(texts[which]) == 2 else masks[which][0]
        guided = guided_by(library, steering, stage, mask, layers=("first up block", "control net"))
        return select(comfy, restore, stage, noise[which], guided, positive=positive)[0]

    both = run(slice(0, 2))
    for i in range(2):
        torch.testing.assert_close(both[i : i + 1], run(slice(i, i + 1)), rtol=1e-3, atol=1e-3)


def test_a_mask_of_one_grey_is_told(restore, stage, library):
    shown = sample_node(restore, stage, steps=1, fusion=library.fusion.Fusion(torch.full((128, 64), 0.5), stage.image))
    assert "one grey, 0.5" in shown.ui.as_dict()["text"][0]


def test_a_mask_of_one_grey_is_told_once_though_guidance_and_fusion_have_it(
    comfy, restore, steering, stage, library, caplog
):
    grey, noise = torch.full((128, 64), 0.5), torch.zeros(1, LATENT_CHANNELS, 16, 8)
    fusion = library.fusion.Fusion(grey, {"samples": noise})
    select(comfy, restore, stage, noise + 1, guided_by(library, steering, stage, grey, updates=1), fusion)
    assert sum("one grey, 0.5" in record.getMessage() for record in caplog.records) == 1
