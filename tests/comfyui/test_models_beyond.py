"""Models of no family here, and latents of other kinds: all but guidance, or refused by name."""

from __future__ import annotations

import pytest
import torch

from .flow_models import SIZE, TINY, WORDS, flow_scene
from .scene import sample


@pytest.fixture(scope="module")
def flow(pack):
    """A tiny model whose class is changed here."""
    return flow_scene("Flux")


@pytest.fixture(scope="module", params=list(TINY))
def scene(request, pack):
    """The same of every family."""
    return flow_scene(request.param)


def test_a_model_of_no_family_here_is_restored_without_guidance_or_refused_by_name(
    restore, scene, library, monkeypatch
):
    class Wan(type(scene.model.model.diffusion_model)):
        """A class that no family knows."""

    monkeypatch.setattr(scene.model.model.diffusion_model, "__class__", Wan)
    monkeypatch.setattr(scene.model.model, "__class__", type("WAN21", (type(scene.model.model),), {}))
    asked = []
    handle = scene.model.model.diffusion_model.register_forward_pre_hook(lambda *_: asked.append(1))
    guided = library.guidance.Guidance(scene.mask, WORDS)
    try:
        with pytest.raises(library.errors.SedicError, match="WAN21.*unplug guidance"):
            sample(restore, scene, guidance=guided)
        assert not asked
    finally:
        handle.remove()
    fusion = library.fusion.Fusion(scene.mask, scene.image)
    free, _, _ = sample(restore, scene, fusion=fusion, steps=2)
    latent, _, _ = sample(restore, scene, guidance=guided, fusion=fusion, steps=2, if_unguidable="go on")
    assert torch.equal(latent["samples"], free["samples"])


@pytest.mark.parametrize(("cell", "channels"), [(16, 128), (8, 4)])
def test_latents_are_as_the_vae_makes_them_or_refused_by_name(restore, flow, library, cell, channels, monkeypatch):
    """Flux 2's cells are 16 pixels; another model's VAE is told from it."""
    vae = type(flow.vae)(2, cell, 16 if cell == 16 else channels)
    if cell == 16:
        latent, _, image = sample(restore, flow, vae=vae, steps=1, image=flow.image[:, :120])
        height, width = flow.image[:, :120].shape[1:3]
        assert latent["samples"].shape == (1, 16, -(-height // cell), -(-width // cell))
        assert image.shape == (1, 120, SIZE[1], 3)
    else:
        with pytest.raises(library.errors.SedicError, match="latents of 4 channels, this model .Flux. of 16"):
            sample(restore, flow, vae=vae, steps=1)


def test_sound_is_refused_by_name(restore, flow, library, monkeypatch):
    latent_format = flow.model.get_model_object("latent_format")
    monkeypatch.setattr(latent_format, "latent_dimensions", 1, raising=False)
    with pytest.raises(library.errors.SedicError, match="class Flux, has no latents of pictures"):
        sample(restore, flow, steps=1)
