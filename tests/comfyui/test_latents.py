"""A stage's LATENT is the picture's: the core's own nodes behind it and before it agree with it on the size."""

from __future__ import annotations

import importlib

import pytest
import torch

from .scene import sample

PLAIN = {"steps": 1, "cfg": 1.0, "sampler": "euler", "scheduler": "simple"}


def behind(stage, latent):
    """The picture of the core's KSampler and VAE Decode behind a LATENT."""
    import nodes  # ComfyUI's

    with torch.inference_mode():
        (latent,) = nodes.KSampler().sample(
            stage.model, 1, 1, 1.0, "euler", "simple", stage.positive, stage.negative, latent, 0.3
        )
        return nodes.VAEDecode().decode(stage.vae, latent)[0]


def final(restore, stage, image):
    with torch.inference_mode():
        return restore.GlobalRestore.execute(
            model=stage.model, positive=stage.positive, negative=stage.negative, vae=stage.vae, image=image, seed=3,
            strength=1.0, condition="progressive", start="noised picture", **PLAIN,
        ).result[1]  # fmt: skip


@pytest.mark.parametrize("node", ["object", "without the object", "whole"])
def test_a_core_sampler_behind_a_stage_makes_a_picture_of_its_size(restore, pack, stage, library, node):
    quality = importlib.import_module(f"{pack.__name__}.nodes.quality")
    image = stage.image[:, :104, :40]
    if node == "whole":
        latent = final(restore, stage, image)
    else:
        mask = torch.full((104, 40), float(node == "object"))
        latent = sample(restore, stage, image=image, fusion=library.fusion.Fusion(mask, image), **PLAIN)[0]
    assert latent["samples"].shape[-2:] == (13, 5)
    picture = behind(stage, latent)
    assert picture.shape == image.shape
    assert "psnr" in quality.QualityReport.execute(image, picture).args[0]


def test_a_picture_of_parts_of_cells_has_them_and_the_report_says_what_to_cut(restore, pack, stage, library):
    quality = importlib.import_module(f"{pack.__name__}.nodes.quality")
    image = stage.image[:, :101, :37]
    latent, _, _ = sample(restore, stage, image=image, **PLAIN)
    picture = behind(stage, latent)
    assert picture.shape[1:3] == (104, 40)
    with pytest.raises(library.errors.SedicError, match=r"is 40×104, the original 37×101; .*Image Crop"):
        quality.QualityReport.execute(image, picture)
    assert quality.QualityReport.execute(image, picture[:, :101, :37]).args
    with pytest.raises(library.errors.SedicError, match="must have the same size"):
        quality.QualityReport.execute(image, stage.image[:, :64])


def test_a_latent_of_the_picture_is_fused_with_whoever_made_it(restore, stage, library):
    """What a stage left, and what the core's VAE Encode makes, of a picture that is no multiple of the canvas."""
    import nodes  # ComfyUI's

    image = stage.image[:, :104, :40]
    mask = torch.zeros(104, 40)
    mask[:56] = 1
    latent, trajectory, _ = sample(restore, stage, image=image, **PLAIN)
    with torch.inference_mode():
        (own,) = nodes.VAEEncode().encode(stage.vae, image)
    for before in (latent, own):
        after, _, _ = sample(
            restore, stage, image=image, stage=2, fusion=library.fusion.Fusion(mask, before), **PLAIN
        )  # fmt: skip
        torch.testing.assert_close(after["samples"][:, :, 7:], before["samples"][:, :, 7:])
    assert trajectory.latents[-1].shape[-2:] == (16, 8)  # the canvas's, for the next stage
