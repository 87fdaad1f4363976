"""What users wire around the sampler works with it: LoRAs, merges, ControlNets through ComfyUI's own nodes."""

from __future__ import annotations

import pytest
import torch

from .scene import apply_control, guidance, sample, stock


def run_node(node, **inputs):
    """A core node of ComfyUI's, as its executor runs it."""
    with torch.inference_mode():
        instance = node()
        result = getattr(instance, node.FUNCTION)(**inputs)
    return result


@pytest.fixture
def lora(tmp_path_factory, stage):
    """A LoRA file for the middle block's cross-attention, where ComfyUI looks for one."""
    import folder_paths
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("loras")
    folder_paths.add_model_folder_path("loras", str(folder))
    generator = torch.Generator().manual_seed(0)
    state = {}
    for part in ("to_q", "to_k", "to_v"):
        module = getattr(stage.model.model.diffusion_model.middle_block[1].transformer_blocks[0].attn2, part)
        out, inner = module.weight.shape
        name = f"diffusion_model.middle_block.1.transformer_blocks.0.attn2.{part}"
        state[f"{name}.lora_up.weight"] = torch.randn(out, 4, generator=generator) * 0.3
        state[f"{name}.lora_down.weight"] = torch.randn(4, inner, generator=generator) * 0.3
    save_file(state, folder / "middle.safetensors")
    return "middle.safetensors"


def test_lora_acts_in_the_stage_and_is_gone_from_the_model_afterwards(restore, steering, stage, library, lora):
    import nodes  # ComfyUI's

    plain = stock(stage)
    guided = guidance(library, steering, stage, layers=("middle block",))
    unlike, _, _ = sample(restore, stage, guidance=guided)
    (model,) = run_node(nodes.LoraLoaderModelOnly, model=stage.model, lora_name=lora, strength_model=1.0)
    latent, _, _ = sample(restore, stage, model=model)
    assert torch.equal(latent["samples"], stock(stage, model=model))
    assert not torch.equal(latent["samples"], plain)
    once, _, _ = sample(restore, stage, model=model, guidance=guided)
    assert not torch.equal(once["samples"], unlike["samples"])
    # In turns with the model that has no LoRA: each load patches the weights, or takes the patch back.
    assert torch.equal(stock(stage), plain)
    again, _, _ = sample(restore, stage, model=model, guidance=guided)
    assert torch.equal(again["samples"], once["samples"])
    assert torch.equal(stock(stage), plain)


def test_merged_models_are_sampled_and_guided_as_merged(pack, restore, steering, stage, library):
    import importlib

    import comfy_extras.nodes_model_merging as merging

    with torch.inference_mode():
        other = importlib.import_module(f"{pack.__name__}.nodes.models").load_network()
        for parameter in other.model.diffusion_model.parameters():
            parameter.mul_(1.05)
    (merged,) = run_node(merging.ModelMergeSimple, model1=stage.model, model2=other, ratio=0.5)
    latent, _, _ = sample(restore, stage, model=merged)
    expected = stock(stage, model=merged)
    assert torch.equal(latent["samples"], expected)
    assert not torch.equal(expected, stock(stage))
    guided = guidance(library, steering, stage)
    steered, _, _ = sample(restore, stage, model=merged, guidance=guided)
    assert not torch.equal(steered["samples"], expected)
    assert torch.equal(stock(stage, model=merged), expected)


@pytest.mark.parametrize(("strength", "start", "end"), [(0.4, 0.0, 1.0), (1.0, 0.3, 1.0), (1.0, 0.0, 0.5)])
def test_strength_and_range_of_the_apply_node_hold(restore, stage, strength, start, end):
    with_control = apply_control(stage, stage.control_net, stage.positive, stage.negative, strength, start, end)
    positive, negative = with_control
    latent, _, _ = sample(restore, stage, positive=positive, negative=negative)
    expected = stock(stage, positive=positive, negative=negative)
    assert torch.equal(latent["samples"], expected)
    assert not torch.equal(expected, stock(stage, control_net=stage.control_net))
    assert not torch.equal(expected, stock(stage))


def test_guided_stage_takes_the_apply_nodes_control_net_as_its_own_socket(restore, steering, stage, library):
    guided = guidance(library, steering, stage)
    own, _, _ = sample(restore, stage, control_net=stage.control_net, guidance=guided)
    positive, negative = apply_control(stage, stage.control_net, stage.positive, stage.negative)
    theirs, _, _ = sample(restore, stage, positive=positive, negative=negative, guidance=guided)
    assert torch.equal(own["samples"], theirs["samples"])


def test_two_control_nets_in_a_chain_are_guided_through(restore, steering, stage, library):
    guided = guidance(library, steering, stage, layers=("control net",))
    positive, negative = apply_control(stage, stage.control_net, stage.positive, stage.negative, 0.5)
    chained, _, _ = sample(
        restore, stage, positive=positive, negative=negative, control_net=stage.control_net, strength=0.5,
        guidance=guided,
    )  # fmt: skip
    free, _, _ = sample(
        restore, stage, positive=positive, negative=negative, control_net=stage.control_net, strength=0.5
    )
    assert torch.isfinite(chained["samples"]).all()
    assert not torch.equal(chained["samples"], free["samples"])


def test_where_the_control_net_does_not_act_guidance_reads_the_unet_alone(restore, steering, stage, library):
    positive, negative = apply_control(stage, stage.control_net, stage.positive, stage.negative, 1.0, 0.5, 1.0)
    both = guidance(library, steering, stage, layers=("first up block", "control net"), t_prime=0.8)
    unet = guidance(library, steering, stage, layers=("first up block",), t_prime=0.8)
    first, second = (sample(restore, stage, positive=positive, negative=negative, guidance=g)[0] for g in (both, unet))
    assert torch.equal(first["samples"], second["samples"])
    alone = guidance(library, steering, stage, layers=("control net",))
    with pytest.raises(library.errors.SedicError, match="No ControlNet with cross-attention acts at sigma"):
        sample(restore, stage, positive=positive, negative=negative, guidance=alone)


def test_conditioning_with_timestep_ranges_is_guided_by_the_text_that_acts(restore, steering, stage, library):
    import nodes  # ComfyUI's

    (late,) = run_node(nodes.ConditioningSetTimestepRange, conditioning=stage.negative, start=0.5, end=1.0)
    (early,) = run_node(nodes.ConditioningSetTimestepRange, conditioning=stage.positive, start=0.0, end=0.5)
    guided = guidance(library, steering, stage, t_prime=0.8)
    ranged, _, _ = sample(restore, stage, positive=late + early, guidance=guided)
    free, _, _ = sample(restore, stage, positive=late + early)
    assert not torch.equal(ranged["samples"], free["samples"])
