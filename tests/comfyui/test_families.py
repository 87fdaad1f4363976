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


@pytest.mark.parametrize("layers", ["early third", "middle third", "late third", "block 1"])
def test_every_choice_of_layers_has_its_gradient(gradient, layers):
    _, found, numeric = gradient(layers=(layers,))
    assert numeric == pytest.approx(found.norm().item(), rel=0.03)


def test_the_energy_is_that_of_the_whole_softmax(scene, comfy, denoiser, library, families, monkeypatch):
    """Of some queries at a time, and of the object's tokens alone: the numbers of the plain formula."""
    joint = importlib.import_module(f"{families.__name__}.joint")
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(3, 21, 8, generator=generator).requires_grad_() for _ in range(2))
    bias = torch.randn(1, 1, 21, generator=generator)
    plain = (query[:, 5:17] @ key.transpose(1, 2) / 8**0.5 + bias).softmax(-1)[..., [2, 4]]
    expected = torch.autograd.grad(plain.square().sum(), (query, key))
    for at_once in (2**24, 3 * 21 * 2):
        monkeypatch.setattr(joint, "AT_ONCE", at_once)
        found = joint.attention_to(query, key, slice(5, 17), [2, 4], bias)
        torch.testing.assert_close(found, plain)
        torch.testing.assert_close(torch.autograd.grad(found.square().sum(), (query, key)), expected)


def test_checkpointing_gives_the_same_gradient_and_keeps_less(gradient, scene):
    def kept(**options):
        sizes = {}

        def pack(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            energy, found, _ = gradient(control_net=scene.control_net, layers=("late third",), **options)
        return energy, found, sum(sizes.values())

    energy, plain, much = kept()
    same, again, little = kept(change=lambda bound: setattr(bound, "checkpoint", True))
    assert energy == same
    torch.testing.assert_close(plain, again, rtol=1e-4, atol=1e-9)
    assert little < 0.6 * much


@pytest.mark.processor
def test_direction_in_bfloat16_is_that_in_float32(gradient, scene):
    _, exact, _ = gradient()
    network = scene.model.model.diffusion_model
    before = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        network.to(torch.bfloat16)
        network.dtype = torch.bfloat16
        _, rough, _ = gradient()
    finally:
        network.to(torch.float32)
        network.dtype = torch.float32
        network.load_state_dict(before)
    assert torch.nn.functional.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) >= 0.98


def test_blocks_behind_the_last_one_read_are_never_computed(gradient, scene, families):
    blocks = families.family_of(scene.model.model.diffusion_model).blocks(scene.model.model.diffusion_model)
    runs = []
    handles = [b.register_forward_pre_hook(lambda *_, i=i: runs.append(i)) for i, b in enumerate(blocks)]
    try:
        gradient(layers=("early third",))
    finally:
        for handle in handles:
            handle.remove()
    assert set(runs) == {0}


def test_energy_falls_with_updates(restore, scene, library):
    guided = guidance(library, scene, updates=4, t_prime=0.5, eta=40.0)
    energies = []

    def watch(step, value):
        energies.append(value)

    with pytest.MonkeyPatch.context() as patch:
        stage = importlib.import_module(f"{restore.__package__}.stage")
        patch.setattr(stage.Teller, "update", lambda self, step, value: watch(step, value))
        sample(restore, scene, guidance=guided, steps=1)
    assert len(energies) == 4
    assert energies[-1] < energies[0]


# The person's MODEL


@pytest.mark.parametrize("end", ["done", "error", "interrupt"])
def test_the_users_model_is_as_it_was_however_a_guided_run_ends(comfy, restore, scene, library, end, monkeypatch):
    import comfy.model_management as management

    network = scene.model.model.diffusion_model
    before = stock(scene, "euler", scene.control_net, steps=1)
    guided = guidance(library, scene)
    module = importlib.import_module(f"{restore.__package__}.comfy_denoiser.families.joint")
    plain, calls = module.attention_to, []

    def ends(*arguments):
        calls.append(getattr(management, "in_training", None))
        if end == "error":
            raise ValueError("broken on purpose")
        if end == "interrupt":
            raise management.InterruptProcessingException
        return plain(*arguments)

    monkeypatch.setattr(module, "attention_to", ends)
    run = {"control_net": scene.control_net, "guidance": guided, "checkpointing": True, "steps": 1}
    if end == "done":
        sample(restore, scene, **run)
    else:
        with pytest.raises((ValueError, management.InterruptProcessingException)):
            sample(restore, scene, **run)
    assert calls
    assert not getattr(management, "in_training", False)
    assert not scene.model.wrappers
    assert not scene.model.model_options.get("transformer_options")
    assert not any("forward" in vars(module) for module in network.modules())
    assert torch.equal(stock(scene, "euler", scene.control_net, steps=1), before)


@pytest.mark.parametrize("kind", ["fp8", "packed", "GGMLTensor"])
def test_quantised_weights_are_refused_or_unguided_as_if_unguidable_says(restore, scene, library, kind, monkeypatch):
    network = scene.model.model.diffusion_model
    if kind == "fp8":
        layer = next(module for module in network.modules() if isinstance(module, torch.nn.Linear))
        ops = type("fp8_ops", (), {})
        linear = type("Linear", (type(layer),), {"__qualname__": "fp8_ops.Linear", "__module__": ops.__module__})
        monkeypatch.setattr(layer, "__class__", linear)
    else:
        weight = torch.nn.Parameter(torch.zeros(4, dtype=torch.uint8), requires_grad=False)
        if kind == "GGMLTensor":
            weight = torch.nn.Parameter(torch.zeros(4).as_subclass(type("GGMLTensor", (torch.Tensor,), {})), False)
        monkeypatch.setitem(network._parameters, "packed", weight)
    guided = guidance(library, scene)
    with pytest.raises(library.errors.SedicError, match="quantised weights.*if_unguidable"):
        sample(restore, scene, guidance=guided, steps=1)
    latent, _, _ = sample(restore, scene, guidance=guided, steps=1, if_unguidable="go on")
    assert torch.equal(latent["samples"], sample(restore, scene, steps=1)[0]["samples"])


def test_each_network_is_of_one_family(families, scene):
    network = scene.model.model.diffusion_model
    assert sum(family.fits(network) for family in families.FAMILIES) == 1
    assert scene.name in families.family_of(network).name or scene.name == "SD 3.5"
