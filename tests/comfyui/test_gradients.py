"""The gradient of the energy through ComfyUI's models: right, cheap, and nobody else's attention is lost on the way."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from .scene import guidance, in_sampler

UNET_LAYERS = ("first up block", "second up block", "middle block")


def gradient_at(library, guided, bound, x, sigma):
    """Energy and its gradient by backward."""
    with torch.enable_grad():
        leaf = (x * 0.3).requires_grad_()
        energy = library.guidance.energy_of(bound, leaf, sigma, guided)
        (gradient,) = torch.autograd.grad(energy, leaf)
    return energy.item(), gradient


def conditioning(nodes_stage, stage, with_control_net=True):
    if not with_control_net:
        return stage.positive
    with torch.inference_mode():
        return nodes_stage.with_control([stage.positive], stage.control_net, stage.image, 1.0, stage.vae)[0]


@pytest.fixture
def gradient(comfy, denoiser, nodes_stage, steering, stage, library):
    """Called with settings of guidance: energy and gradient in a sampling run; ``change`` may prepare the denoiser."""

    def run(change=None, with_control_net=True, model=None, **settings):
        guided = guidance(library, steering, stage, **settings)

        def at(bound, x, sigmas):
            if change:
                change(bound)
            return gradient_at(library, guided, bound, x, sigmas[1])

        positive = conditioning(nodes_stage, stage, with_control_net)
        return in_sampler(comfy, denoiser, stage, at, positive, model)

    return run


@pytest.mark.parametrize(
    ("layers", "with_control_net"),
    [
        *((name, with_control_net) for name in UNET_LAYERS for with_control_net in (False, True)),
        ("control net", True),
    ],
)
def test_gradient_equals_central_differences(
    comfy, nodes_stage, steering, denoiser, stage, library, with_control_net, layers
):
    """Through ComfyUI's UNet, and through its ControlNet attached, in the middle of a real sampling run."""
    guided = guidance(library, steering, stage, layers=(layers,))

    def both(bound, x, sigmas):
        sigma = sigmas[1]
        _, gradient = gradient_at(library, guided, bound, x, sigma)
        step = 0.05 * gradient / gradient.norm()
        ahead, behind = (library.guidance.energy_of(bound, x * 0.3 + s * step, sigma, guided) for s in (1, -1))
        return gradient.norm().item(), ((ahead - behind) / 0.1).item()

    positive = conditioning(nodes_stage, stage, with_control_net)
    analytic, numeric = in_sampler(comfy, denoiser, stage, both, positive)
    assert analytic > 1e-6
    assert numeric == pytest.approx(analytic, rel=0.02)


def test_without_a_gradient_through_the_control_net_what_it_adds_is_a_constant(gradient, stage):
    """The gradient is then that of a network to which the ControlNet's outputs at this x are given as numbers."""

    class Frozen:
        def __init__(self, control):
            self.control, self.outputs, self.previous_controlnet = control, None, None

        def get_control(self, x, *arguments):
            if self.outputs is None:
                with torch.no_grad():
                    self.outputs = self.control.get_control(x, *arguments)
            return {kind: [None if t is None else t.clone() for t in some] for kind, some in self.outputs.items()}

    def freeze(bound):
        bound.conds["positive"] = [c | {"control": Frozen(c["control"])} for c in bound.conds["positive"]]

    energy, constant = gradient(through_control=False)
    expected_energy, expected = gradient(freeze)
    same_energy, full = gradient()
    assert energy == same_energy == pytest.approx(expected_energy, rel=1e-5)
    torch.testing.assert_close(constant, expected, rtol=1e-3, atol=1e-4 * full.abs().max().item())
    assert (full - constant).norm() > 0.01 * full.norm()


def test_several_layers_are_read_together_with_the_control_nets(gradient):
    parts = [gradient(layers=(name,))[0] for name in ("middle block", "control net")]
    both, _ = gradient(layers=("control net", "middle block"))
    assert min(parts) < both < max(parts)


def test_layers_of_a_control_net_that_is_not_there_are_an_error(gradient, library):
    with pytest.raises(library.errors.SedicError, match="No ControlNet with cross-attention"):
        gradient(with_control_net=False, layers=("control net",))


@pytest.mark.processor
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_direction_in_half_precision_is_that_in_float32(gradient, stage, dtype):
    _, exact = gradient()
    networks = (stage.model.model.diffusion_model, stage.control_net.control_model)
    for network in networks:
        network.to(dtype)
        network.dtype = dtype
    _, rough = gradient()
    assert torch.nn.functional.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) >= 0.98
    assert rough.norm().item() == pytest.approx(exact.norm().item(), rel=0.1)


def test_blocks_behind_the_last_layer_read_are_never_computed(gradient, stage):
    network = stage.model.model.diffusion_model
    runs = Counter()
    blocks = {f"output {i}": block for i, block in enumerate(network.output_blocks)}
    blocks |= {"middle": network.middle_block, "control net": stage.control_net.control_model.middle_block}
    for name, block in blocks.items():
        block[0].register_forward_hook(lambda *_, name=name: runs.update([name]))
    gradient(layers=("control net",))
    assert runs == {"control net": 1}
    gradient(layers=("middle block",))
    assert runs == {"control net": 2, "middle": 1}
    gradient(layers=("first up block",))
    assert runs == {"control net": 3, "middle": 2, "output 0": 1, "output 1": 1}


@pytest.fixture
def with_bytes_kept(gradient):
    """Called as ``gradient``: its result, and the bytes that autograd keeps for the backward pass."""

    def run(*arguments, **settings):
        kept = {}

        def pack(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            return *gradient(*arguments, **settings), sum(kept.values())

    return run


def test_checkpointing_gives_the_same_gradient_and_keeps_less(with_bytes_kept):
    energy, plain, much = with_bytes_kept()
    same, again, little = with_bytes_kept(lambda bound: setattr(bound, "checkpoint", True))
    assert energy == same
    torch.testing.assert_close(plain, again, rtol=1e-4, atol=1e-9)
    assert little < 0.6 * much


@pytest.fixture
def cast(stage):
    """The stage's network in half precision on a machine that computes in float32: ComfyUI's manual cast."""
    network = stage.model.model.diffusion_model
    for module in network.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            module.weight.data = module.weight.data.half()
            module.comfy_cast_weights = True
    stage.model.model.manual_cast_dtype = torch.float32
    return network


def test_weights_that_are_cast_can_be_checkpointed(gradient, cast):
    """The first layer is a convolution by itself: casting and checkpointing both reach for it."""
    energy, plain = gradient(with_control_net=False)
    same, again = gradient(lambda bound: setattr(bound, "checkpoint", True), with_control_net=False)
    assert energy == same
    torch.testing.assert_close(plain, again, rtol=1e-4, atol=1e-9)
    assert not any("forward" in vars(module) for module in cast.modules())


def test_weights_that_are_cast_for_each_layer_are_not_kept_as_cast(with_bytes_kept, cast, monkeypatch):
    network = cast
    _, lean, little = with_bytes_kept(with_control_net=False)
    monkeypatch.setattr("comfyui_sedic.nodes.comfy_denoiser.casting._casts", lambda module: False)
    _, plain, much = with_bytes_kept(with_control_net=False)
    torch.testing.assert_close(lean, plain, rtol=1e-4, atol=1e-9)
    block = network.middle_block[1].transformer_blocks[0]
    assert much - little > 4 * sum(m.weight.numel() for m in (block.attn1.to_q, block.attn1.to_k, block.ff.net[2]))


def test_attention_that_somebody_else_has_put_in_place_stays(gradient, stage):
    """IPAdapter replaces cross-attention: a guided pass runs its replacement and reads beside it."""
    from comfy.ldm.modules.attention import attention_pytorch

    calls = []

    def theirs(query, key, value, options):
        calls.append(options["block"])
        return 2 * attention_pytorch(query, key, value, options["n_heads"])

    model = stage.model.clone()
    model.set_model_attn2_replace(theirs, "middle", 0)
    plain, _ = gradient()
    replaced, _ = gradient(model=model)
    assert calls == [("middle", 0)]
    assert replaced != plain


def test_attention_kernel_without_a_backward_is_not_used(gradient, monkeypatch):
    """Neither in the UNet nor in the ControlNet, to which ComfyUI gives no options."""
    import comfy.ldm.modules.attention as attention

    _, expected = gradient()
    calls = []

    @attention.wrap_attn
    def fast(*arguments, **options):
        calls.append(1)
        options.pop("transformer_options", None)
        return attention.attention_pytorch(*arguments, **options).detach()

    monkeypatch.setattr(attention, "optimized_attention", fast)
    _, found = gradient()
    assert torch.equal(found, expected)
    assert not calls
