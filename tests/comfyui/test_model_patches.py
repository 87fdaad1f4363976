"""The Fun control of Qwen-Image and Z-Image, a network and a picture in a MODEL's patches, guided and in tiles."""

from __future__ import annotations

import types

import pytest
import torch

from .flow_models import CPU, flow_scene, ready
from .scene import sample, stock
from .test_families import gradient, guidance  # noqa: F401

LATE = ("late third",)  # behind the first block, where the patch acts


def qwen_control():
    from comfy_extras.nodes_model_patch import QwenImageBlockWiseControlNet

    return QwenImageBlockWiseControlNet(num_layers=3, dim=96, operations=comfy_ops())


def z_control(**options):
    from comfy.ldm.lumina.controlnet import ZImage_Control

    return ZImage_Control(
        dim=256, n_heads=4, n_kv_heads=4, multiple_of=32, ffn_dim_multiplier=2.0, operations=comfy_ops(), **options
    )


def comfy_ops():
    import comfy.ops

    return comfy.ops.manual_cast


CONTROLS = {
    "Qwen-Image": ("Qwen-Image", qwen_control),
    "Z-Image": ("Z-Image", lambda: z_control(n_control_layers=15)),
    "Z-Image, refined": (
        "Z-Image", lambda: z_control(n_control_layers=15, additional_in_dim=17, refiner_control=True)
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=list(CONTROLS))
def scene(request, pack):
    """A family's tiny model with its control patch, as the core's own node puts it in."""
    import comfy.model_patcher
    from comfy_extras import nodes_model_patch

    family, make = CONTROLS[request.param]
    node = "ZImageFunControlnet" if family == "Z-Image" else "QwenImageDiffsynthControlnet"
    if not hasattr(nodes_model_patch, node):
        pytest.skip(f"this ComfyUI has no {node}")
    plain = flow_scene(family)
    with torch.inference_mode():
        network = ready(make(), plain.tiny.spread, 2)
        patch = comfy.model_patcher.ModelPatcher(network, CPU, CPU)

    def controlled(image, strength=1.0):
        with torch.inference_mode():
            apply = getattr(nodes_model_patch, node)()
            return apply.diffsynth_controlnet(plain.model, patch, plain.vae, image=image, strength=strength)[0]

    values = vars(plain) | {"model": controlled(plain.image), "plain": plain.model, "controlled": controlled}
    return types.SimpleNamespace(**values)


def test_unguided_it_is_the_stock_sampler_bit_for_bit(restore, scene):
    latent, _, _ = sample(restore, scene)
    assert torch.equal(latent["samples"], stock(scene))
    assert not torch.equal(latent["samples"], stock(scene, model=scene.plain))


def test_the_gradient_goes_through_it_and_equals_central_differences(gradient, scene):  # noqa: F811
    energy, found, numeric = gradient(layers=LATE)
    assert found.norm() > 1e-7
    assert numeric == pytest.approx(found.norm().item(), rel=0.03)
    same, again, _ = gradient(lambda bound: setattr(bound, "checkpoint", True), layers=LATE)
    assert same == energy
    torch.testing.assert_close(found, again, rtol=1e-4, atol=1e-9)
    stronger = scene.controlled(scene.image, 2.0)
    scene.model, kept = stronger, scene.model
    try:
        assert gradient(layers=LATE)[0] != energy
    finally:
        scene.model = kept


def test_after_a_guided_stage_the_patch_is_as_it_was(restore, scene, library):
    before = stock(scene)
    free = sample(restore, scene, steps=2)[0]["samples"]
    latent, _, _ = sample(restore, scene, guidance=guidance(library, scene, layers=LATE), steps=2)
    assert not torch.equal(latent["samples"], free)
    for one in holders(scene.model):
        held = torch.utils._pytree.tree_leaves(list(vars(one).values()))
        assert not any(isinstance(value, torch.Tensor) and value.requires_grad for value in held)
    assert torch.equal(stock(scene), before)


def holders(model):
    patches = model.model_options["transformer_options"]["patches"]
    return [one for some in patches.values() for one in some]


@pytest.fixture
def seen(scene, monkeypatch):
    """The pictures that are encoded from now on."""
    found, encode = [], scene.vae.encode
    monkeypatch.setattr(scene.vae, "encode", lambda pixels: found.append(pixels.clone()) or encode(pixels))
    return found


def test_in_tiles_each_sees_its_own_part_of_the_picture(restore, scene, library, seen):
    latent, _, _ = sample(restore, scene, guidance=guidance(library, scene, layers=LATE), steps=1, working_size=64)
    tiles = [scene.image[:, top : top + 64] for top in (0, 64)]
    for tile in tiles:
        assert any(torch.equal(tile, one) for one in seen)
    assert latent["samples"].isfinite().all()
    assert not any(one.shape == scene.image.shape and torch.equal(one, scene.image) for one in seen[1:])


def test_a_picture_that_is_filled_up_is_so_for_the_patch_too(restore, scene, seen):
    """Not stretched to the size that the model works on."""
    image = scene.image[:, :120]
    model = scene.controlled(image)
    del seen[:]
    sample(restore, scene, model=model, image=image, steps=1)
    edge = image[:, -1:].expand(-1, 8, -1, -1)
    assert any(torch.equal(one, torch.cat([image, edge], 1)) for one in seen)


def test_of_several_pictures_each_sees_its_own(restore, scene, library):
    both = torch.cat([scene.image, scene.image.flip(1)])
    guided = guidance(library, scene, layers=LATE)
    latent, _, _ = sample(restore, scene, model=scene.controlled(both), image=both, guidance=guided, steps=1)
    for i in range(2):
        own = both[i : i + 1]
        alone, _, _ = sample(restore, scene, model=scene.controlled(own), image=own, guidance=guided, steps=1)
        assert torch.equal(latent["samples"][i : i + 1], alone["samples"])


def test_a_patch_whose_picture_cannot_be_cut_is_refused_before_anything_is_sampled(restore, scene, library):
    class Stranger:
        """Holds a latent of the whole picture, and does not show what it is made from."""

        def __init__(self, other):
            self.latent = torch.zeros(1, 16, 16, 8)

        def __call__(self, arguments):
            called.append(1)
            return arguments

        def models(self):
            return []

    called = []
    model = scene.plain.clone()
    model.set_model_double_block_patch(Stranger(1))
    with pytest.raises(library.errors.SedicError, match="Stranger cannot be cut.*working_size"):
        sample(restore, scene, model=model, steps=1, working_size=64)
    assert not called
    sample(restore, scene, model=model, steps=1)
    assert called


def test_the_fun_control_net_of_qwen_image_is_guided_through_and_cut(pack, restore, library):
    """It is a ControlNet that computes with layers of the MODEL."""
    import comfy.controlnet
    import comfy.latent_formats
    import comfy.ldm.qwen_image.controlnet as networks

    if not hasattr(networks, "QwenImageFunControlNetModel"):
        pytest.skip("this ComfyUI has no Fun ControlNet for Qwen-Image")
    plain = flow_scene("Qwen-Image")
    with torch.inference_mode():
        network = networks.QwenImageFunControlNetModel(
            inner_dim=96, num_attention_heads=4, attention_head_dim=24, num_control_blocks=2, main_model_double=3,
            injection_layers=(0, 1), operations=comfy_ops(), dtype=torch.float32,
        )  # fmt: skip
        control_net = comfy.controlnet.QwenFunControlNet(
            ready(network, plain.tiny.spread, 2), compression_ratio=1, latent_format=comfy.latent_formats.Wan21(),
            load_device=CPU, extra_conds=[],
        )  # fmt: skip
    free, _, _ = sample(restore, plain, control_net=control_net)
    assert torch.equal(free["samples"], stock(plain, control_net=control_net))
    guided = guidance(library, plain, layers=LATE)
    found = {}
    for checkpointing in (False, True):
        latent, _, _ = sample(
            restore, plain, control_net=control_net, guidance=guided, steps=1, checkpointing=checkpointing
        )
        found[checkpointing] = latent["samples"]
    assert not torch.equal(found[False], sample(restore, plain, control_net=control_net, steps=1)[0]["samples"])
    torch.testing.assert_close(found[False], found[True])
    latent, _, _ = sample(restore, plain, control_net=control_net, guidance=guided, steps=1, working_size=64)
    assert latent["samples"].isfinite().all()
