"""Every family of flow models keeps the decoder's promises: one table, families by promises, on tiny models."""

from __future__ import annotations

import importlib

import pytest
import torch

from .flow_models import SIZE, TINY, flow_scene
from .scene import in_sampler, sample, stock

SIGMA = torch.tensor(0.7)


@pytest.fixture(scope="module", params=list(TINY))
def scene(request, pack):
    """A family's tiny model with texts, a ControlNet where it has one, a picture and a mask."""
    return flow_scene(request.param)


@pytest.fixture
def families(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.comfy_denoiser.families")


def guidance(library, scene, **settings):
    """Guidance of the scene's two words: one update at every step, in the layers that the family itself reads."""
    chosen = {"t_prime": 0.0, "threshold": 0.0, "updates": 1, "layers": ("model's own",)} | settings
    return library.guidance.Guidance(scene.mask, scene.tokens, library.guidance.GuidanceSettings(**chosen))


def controls(scene):
    return (None, scene.control_net) if scene.control_net is not None else (None,)


# Nothing plugged in is nothing changed


def test_without_guidance_and_fusion_the_latent_is_the_stock_samplers_bit_for_bit(restore, scene):
    found = []
    for control_net in controls(scene):
        latent, _, image = sample(restore, scene, control_net=control_net, steps=3)
        assert torch.equal(latent["samples"], stock(scene, "euler", control_net, steps=3))
        assert latent["samples"].std() > 0.1
        assert image.shape == scene.image.shape
        found.append(latent["samples"])
    assert len(found) == 1 or not torch.equal(*found)


@pytest.mark.parametrize("sampler", ["heun", "dpm_2", "euler_ancestral", "ddim", "dpmpp_2m", "lcm"])
def test_every_sampler_is_the_stock_one_in_a_flow_model_too(restore, flow, sampler):
    if sampler not in restore.SOLVERS:
        pytest.skip(f"there is no {sampler}")
    latent, _, _ = sample(restore, flow, sampler=sampler, steps=3)
    assert torch.equal(latent["samples"], stock(flow, sampler, steps=3))


@pytest.fixture(scope="module")
def flow(pack):
    """One family, where they do not differ."""
    return flow_scene("Flux")


def test_mask_of_ones_is_no_fusion_and_of_zeros_the_previous_stage(restore, scene, library):
    free, trajectory, _ = sample(restore, scene)
    everywhere = library.fusion.Fusion(torch.ones(SIZE), scene.image)
    assert torch.equal(sample(restore, scene, fusion=everywhere)[0]["samples"], free["samples"])
    nothing = library.fusion.Fusion(torch.zeros(SIZE), trajectory)
    latent, same, image = sample(restore, scene, stage=1, fusion=nothing)
    assert torch.equal(latent["samples"], free["samples"])
    assert same is trajectory
    assert image is scene.image


# The reference stands at the right noise level


@pytest.mark.parametrize("kind", ["IMAGE", "LATENT"])
def test_a_picture_or_latent_to_fuse_with_has_the_noise_that_the_model_expects(restore, scene, library, kind):
    """Outside the mask x is a·x0 + b·ε with the model's own a and b at every level."""
    latent = scene.vae.encode(scene.image)
    previous = scene.image if kind == "IMAGE" else {"samples": latent}
    mask = torch.zeros(SIZE)
    mask[:8, :8] = 1
    _, trajectory, _ = sample(restore, scene, fusion=library.fusion.Fusion(mask, previous))
    clean = scene.model.get_model_object("latent_format").process_in(latent)
    noising = scene.model.get_model_object("model_sampling").noise_scaling
    one, zero = torch.ones(()), torch.zeros(())
    outside = slice(1, None)
    for sigma, x in zip(trajectory.sigmas[1:], trajectory.latents[1:], strict=True):
        kept, added = noising(sigma, zero, one), noising(sigma, one, zero)
        assert kept == 1 - sigma
        assert added == sigma
        noise = (x.float() - kept * clean)[..., outside, :]
        assert noise.std().item() == pytest.approx(added.item(), rel=0.05, abs=1e-3)
        assert abs(noise.mean().item()) < 0.1


def test_a_batch_passes_through_at_the_right_noise_level(restore, scene, library, pack):
    """Of two pictures one has no object here: what stands for its stage before is noised as the model noises."""
    together = importlib.import_module(f"{pack.__name__}.nodes.pictures").together
    latent = scene.vae.encode(scene.image)
    _, trajectory, image = sample(restore, scene, steps=2)
    _, joined, _ = together(
        [({"samples": latent}, trajectory, image), ({"samples": latent}, {"samples": latent}, image)], scene.model, 3
    )
    clean = scene.model.get_model_object("latent_format").process_in(latent)
    sigma = joined.sigmas[1]
    noise = joined.latents[1][1:].float() - (1 - sigma) * clean
    assert noise.std().item() == pytest.approx(sigma.item(), rel=0.05)


def test_a_start_of_which_nothing_is_left_is_told(restore, flow, caplog):
    shared = {"model": flow.model, "positive": flow.positive, "negative": flow.negative, "vae": flow.vae}
    with torch.inference_mode():
        restore.GlobalRestore.execute(
            **shared, image=flow.image, seed=1, steps=1, cfg=1.0, sampler="euler", scheduler="simple", strength=1.0,
            condition="progressive", start="low frequencies",
        )  # fmt: skip
    assert "begins in pure noise" in caplog.text


# Guidance


@pytest.fixture
def gradient(comfy, denoiser, nodes_stage, scene, library):
    """Called with settings of guidance: energy, its gradient and the bound denoiser's energies, in a sampling run."""

    def run(change=None, control_net=None, x=None, **settings):
        guided = guidance(library, scene, **settings)
        positive = scene.positive
        if control_net is not None:
            with torch.inference_mode():
                positive = nodes_stage.with_control([positive], control_net, scene.image, 1.0, scene.vae)[0]

        def at(bound, noise, sigmas):
            if change:
                change(bound)
            with torch.enable_grad():
                leaf = (noise if x is None else x).clone().requires_grad_()
                energy = library.guidance.energy_of(bound, leaf, SIGMA, guided)
                (found,) = torch.autograd.grad(energy, leaf)
            step = 0.1 * found / found.norm()
            ends = [library.guidance.energy_of(bound, leaf.detach() + s * step, SIGMA, guided) for s in (1, -1)]
            return energy.item(), found, ((ends[0] - ends[1]) / 0.2).item()

        latent = scene.vae.encode(scene.image)
        return in_sampler(comfy, denoiser, scene, at, positive, sigmas=(1.0, 0.7, 0.0), shape=latent.shape)

    return run


def test_gradient_equals_central_differences(gradient, scene):
    for control_net in controls(scene):
        _, found, numeric = gradient(control_net=control_net)
        assert found.norm() > 1e-7
        assert numeric == pytest.approx(found.norm().item(), rel=0.03)
