"""The decoder inside ComfyUI: the same as its own sampler where it should be, and gradients where they are needed."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture(scope="module")
def restore(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.restore")


@pytest.fixture(scope="module")
def steering(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.steering")


@pytest.fixture(scope="module")
def nodes_stage(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.stage")


@pytest.fixture(scope="module")
def denoiser(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.comfy_denoiser")


@pytest.fixture(scope="module")
def library(pack):
    """The pack's own copy of the library."""
    parts = {
        name: importlib.import_module(f"{pack.__name__}.sedic.{path}")
        for name, path in {
            "guidance": "restoration.guidance",
            "fusion": "restoration.fusion",
            "energy": "restoration.energy",
            "embedded": "models.embedded",
        }.items()
    }
    return SimpleNamespace(**parts)


@pytest.fixture
def stage(pack):
    """The embedded models loaded under inference mode, as ComfyUI's executor loads them, and a small scene."""
    models = importlib.import_module(f"{pack.__name__}.nodes.models")
    with torch.inference_mode():
        model, clip = models.load_network(), models.load_clip()
        vae, control_net = models.load_vae(), models.load_control_net()
        image = torch.rand(1, 128, 64, 3, generator=torch.Generator().manual_seed(1))
        mask = torch.zeros(128, 64)
        mask[32:96, 8:40] = 1
        prompt = "red cup, a glossy red cup with a white rim"
        encoded = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in (prompt, "blurry")]
    return SimpleNamespace(
        model=model, clip=clip, vae=vae, control_net=control_net, image=image, mask=mask, prompt=prompt,
        positive=encoded[0], negative=encoded[1],
    )  # fmt: skip


def sample(restore, scene, **options):
    sampling = {
        "seed": 3,
        "stage": 0,
        "steps": 4,
        "cfg": 2.0,
        "sampler": "euler",
        "scheduler": "simple",
        "strength": 1.0,
    }
    sampling |= {key: options.pop(key) for key in list(options) if key in sampling}
    with torch.inference_mode():
        return restore.ORAGSampler.execute(
            model=scene.model, positive=scene.positive, negative=scene.negative, vae=scene.vae, image=scene.image,
            **sampling, **options,
        ).result  # fmt: skip


def stock(comfy, stage, sampler: str, control_net=None):
    """ComfyUI's KSampler and its own ControlNet node on the same inputs."""
    import comfy.sample

    import nodes  # ComfyUI's

    positive, negative = stage.positive, stage.negative
    with torch.inference_mode():
        if control_net is not None:
            positive, negative = nodes.ControlNetApplyAdvanced().apply_controlnet(
                positive, negative, control_net, stage.image, 1.0, 0.0, 1.0, vae=stage.vae
            )
        latent = torch.zeros(1, 16, 16, 8)
        return comfy.sample.sample(
            stage.model, comfy.sample.prepare_noise(latent, 3), 4, 2.0, sampler, "simple", positive, negative, latent,
            seed=3,
        )  # fmt: skip


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpm_2"])
def test_without_guidance_and_fusion_the_latent_is_the_stock_samplers_bit_for_bit(comfy, restore, stage, sampler):
    latent, _, _ = sample(restore, stage, sampler=sampler)
    assert torch.equal(latent["samples"], stock(comfy, stage, sampler))


def test_control_net_plugged_in_is_the_stock_apply_node_bit_for_bit(comfy, restore, stage):
    latent, _, _ = sample(restore, stage, control_net=stage.control_net)
    plain, _, _ = sample(restore, stage)
    assert torch.equal(latent["samples"], stock(comfy, stage, "euler", stage.control_net))
    assert not torch.equal(latent["samples"], plain["samples"])


def test_guided_run_leaves_the_users_model_as_it_was(comfy, restore, steering, stage, library):
    before = stock(comfy, stage, "euler", stage.control_net)
    guided = guidance(library, steering, stage, eta=40.0)
    latent, _, _ = sample(restore, stage, control_net=stage.control_net, guidance=guided)
    assert not torch.equal(latent["samples"], before)
    assert torch.equal(stock(comfy, stage, "euler", stage.control_net), before)
    assert not stage.model.wrappers


def guidance(library, steering, stage, **settings):
    tokens = steering.token_positions(stage.clip, stage.prompt, "red cup")
    chosen = {"t_prime": 0.0, "threshold": 0.0, "updates": 1} | settings
    return library.guidance.Guidance(stage.mask, tokens, library.guidance.GuidanceSettings(**chosen))


@pytest.mark.parametrize("with_control_net", [False, True])
@pytest.mark.parametrize("layers", ["first up block", "second up block", "middle block"])
def test_guidance_gradient_equals_central_differences(
    comfy, nodes_stage, steering, denoiser, stage, library, with_control_net, layers
):
    """Through ComfyUI's UNet, and through its ControlNet attached, in the middle of a real sampling run."""
    guided = guidance(library, steering, stage)
    seen = {}

    def check(model, x, sigmas, extra_args, callback=None, disable=None):
        with torch.inference_mode(False), torch.no_grad():
            x = x.clone()
            bound = denoiser.ComfyDenoiser(model, extra_args)

            def energy(at):
                maps = bound.attention(at, sigmas[1].clone(), [layers])
                return library.energy.mean_energy(maps, guided.mask, guided.tokens)

            with torch.enable_grad():
                leaf = (x * 0.3).requires_grad_()
                (gradient,) = torch.autograd.grad(energy(leaf), leaf)
            direction = gradient / gradient.norm()
            step = 0.05
            difference = (energy(leaf + step * direction) - energy(leaf - step * direction)) / (2 * step)
            seen.update(analytic=gradient.norm().item(), numeric=difference.item())
            return x

    positive = stage.positive
    with torch.inference_mode():
        if with_control_net:
            [positive] = nodes_stage.with_control([positive], stage.control_net, stage.image, 1.0, stage.vae)
        latent = torch.zeros(1, 16, 16, 8)
        comfy.sample.sample_custom(
            denoiser.with_gradients(stage.model), comfy.sample.prepare_noise(latent, 3), 2.0,
            comfy.samplers.KSAMPLER(check), torch.tensor([14.6, 5.0, 0.0]), positive, stage.negative, latent, seed=3,
        )  # fmt: skip
    assert seen["analytic"] > 1e-6
    assert seen["numeric"] == pytest.approx(seen["analytic"], rel=0.02)


def test_mask_of_ones_is_no_fusion_and_of_zeros_the_previous_stage(restore, stage, library):
    free, trajectory, _ = sample(restore, stage)
    fusion = library.fusion.Fusion(torch.ones(128, 64), trajectory)
    assert torch.equal(sample(restore, stage, fusion=fusion)[0]["samples"], free["samples"])
    nothing = library.fusion.Fusion(torch.zeros(128, 64), trajectory)
    latent, same, image = sample(restore, stage, stage=1, fusion=nothing)
    assert torch.equal(latent["samples"], free["samples"])
    assert same is trajectory
    assert image is stage.image


def test_outside_the_mask_the_previous_trajectory_is_kept(restore, stage, library):
    _, trajectory, _ = sample(restore, stage)
    mask = torch.zeros(128, 64)
    mask[:64] = 1
    fused = sample(restore, stage, stage=2, fusion=library.fusion.Fusion(mask, trajectory))[1]
    for now, before in zip(fused.latents[1:], trajectory.latents[1:], strict=True):
        assert torch.equal(now[..., 8:, :], before[..., 8:, :])
        assert not torch.equal(now[..., :8, :], before[..., :8, :])


def test_other_noise_levels_than_the_previous_stage_are_an_error_that_names_both(restore, stage, library):
    _, trajectory, _ = sample(restore, stage)
    fusion = library.fusion.Fusion(stage.mask, trajectory)
    with pytest.raises(ValueError, match=r"ran 4 steps .* this one 5 steps"):
        sample(restore, stage, fusion=fusion, steps=5)


def test_prompt_without_the_name_is_an_error_that_quotes_it(pack, steering, stage):
    error = importlib.import_module(f"{pack.__name__}.sedic.errors").SedicError
    with pytest.raises(error, match="green door"):
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
        latent = torch.zeros(1, 16, 16, 8)
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 4)
        noise = comfy.sample.prepare_noise(latent, 3)
        assert torch.equal(guider.sample(noise, latent, sampler, sigmas, seed=3), expected["samples"])
