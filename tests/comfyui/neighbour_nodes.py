"""What builds the neighbours of the table: the core's own node classes, and strangers that do worse."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from .scene import apply_control

OTHER = "weathered barn in the grass"


def core(module: str, name: str, **inputs: Any) -> tuple[Any, ...]:
    """Runs a node class of ComfyUI's: of ``nodes`` or a module of ``comfy_extras``; skips one that it has not."""
    try:
        found = importlib.import_module(module if module == "nodes" else f"comfy_extras.nodes_{module}")
        node = getattr(found, name)
    except (ImportError, AttributeError):
        pytest.skip(f"this ComfyUI has no {name}")
    with torch.inference_mode():
        if hasattr(node, "define_schema"):
            defaults = {one.id: one.default for one in node.define_schema().inputs if hasattr(one, "default")}
            output = node.execute(**{**defaults, **inputs})
            return getattr(output, "result", output)
        return getattr(node(), node.FUNCTION)(**inputs)


def patched(module: str, name: str, **inputs: Any) -> Callable[[Any], dict[str, Any]]:
    """A node that takes a MODEL and gives one."""
    return lambda scene: {"model": core(module, name, model=scene.model, **inputs)[0]}


def encoded(scene: Any, text: str, clip: Any = None) -> Any:
    """CLIP Text Encode."""
    return core("nodes", "CLIPTextEncode", clip=clip or scene.clip, text=text)[0]


def conditioned(name: str, module: str = "nodes", **inputs: Any) -> Callable[[Any], dict[str, Any]]:
    """A node that takes the object's CONDITIONING and gives one."""
    return lambda scene: {"positive": core(module, name, conditioning=scene.positive, **inputs)[0]}


def joined(name: str, first: str, second: str, **inputs: Any) -> Callable[[Any], dict[str, Any]]:
    """A node that makes one CONDITIONING of two: the object's, and another text's."""

    def build(scene: Any) -> dict[str, Any]:
        both = {first: scene.positive, second: encoded(scene, OTHER)}
        return {"positive": core("nodes", name, **both, **inputs)[0]}

    return build


def ranged(object_first: bool) -> Callable[[Any], dict[str, Any]]:
    """Two texts over time ranges."""

    def build(scene: Any) -> dict[str, Any]:
        texts = (scene.positive, encoded(scene, OTHER))
        early, late = texts if object_first else texts[::-1]
        (early,) = core("nodes", "ConditioningSetTimestepRange", conditioning=early, start=0.0, end=0.5)
        (late,) = core("nodes", "ConditioningSetTimestepRange", conditioning=late, start=0.5, end=1.0)
        return {"positive": core("nodes", "ConditioningCombine", conditioning_1=late, conditioning_2=early)[0]}

    return build


def areas(scene: Any) -> dict[str, Any]:
    """Two texts, each in its half of the picture, the object's second."""
    half = {"width": 64, "height": 64, "x": 0, "strength": 1.0}
    (upper,) = core("nodes", "ConditioningSetArea", conditioning=encoded(scene, OTHER), y=0, **half)
    (lower,) = core("nodes", "ConditioningSetArea", conditioning=scene.positive, y=64, **half)
    return {"positive": core("nodes", "ConditioningCombine", conditioning_1=upper, conditioning_2=lower)[0]}


def default_combined(scene: Any) -> dict[str, Any]:
    """The object's where no area reaches."""
    (upper,) = core("nodes", "ConditioningSetArea", conditioning=encoded(scene, OTHER), width=64, height=64, x=0, y=0,
                    strength=1.0)  # fmt: skip
    return {"positive": core("hooks", "ConditioningSetDefaultAndCombine", cond=upper, cond_DEFAULT=scene.positive)[0]}


def controlled(**inputs: Any) -> Callable[[Any], dict[str, Any]]:
    """ControlNetApplyAdvanced, and what stands behind it."""

    def build(scene: Any) -> dict[str, Any]:
        positive, negative = apply_control(scene, scene.control_net, scene.positive, scene.negative, **inputs)
        return {"positive": positive, "negative": negative}

    return build


def control_with_a_text_of_its_own(scene: Any) -> dict[str, Any]:
    made = controlled()(scene)
    (positive,) = core("cond", "CLIPTextEncodeControlnet", clip=scene.clip, conditioning=made["positive"], text=OTHER)
    return made | {"positive": positive}


def windows(scene: Any) -> dict[str, Any]:
    (model,) = core(
        "context_windows", "ContextWindowsManualNode", model=scene.model, context_length=8, context_overlap=4,
        context_schedule="standard_static", context_stride=1, closed_loop=False, fuse_method="pyramid", dim=2,
    )  # fmt: skip
    return {"model": model} | controlled()(scene)


def merged(scene: Any) -> dict[str, Any]:
    with torch.inference_mode():
        other = scene.model.clone()
        other.add_patches(weights(scene, 0.05))
    return {"model": core("model_merging", "ModelMergeSimple", model1=scene.model, model2=other, ratio=0.5)[0]}


def weights(scene: Any, scale: float) -> dict[str, Any]:
    """A difference to some of the network's weights, in ComfyUI's form."""
    generator = torch.Generator().manual_seed(0)
    state = {f"diffusion_model.{k}": v for k, v in scene.model.model.diffusion_model.state_dict().items()}
    chosen = [key for key in state if "middle_block.1" in key and key.endswith("attn2.to_k.weight")]
    return {key: (scale * torch.randn(state[key].shape, generator=generator),) for key in chosen}


def lora(scene: Any) -> dict[str, Any]:
    with torch.inference_mode():
        model = scene.model.clone()
        model.add_patches(weights(scene, 0.05))
    return {"model": model}


def lora_as_hook(scene: Any) -> dict[str, Any]:
    import comfy.hooks

    hook, group = comfy.hooks.WeightHook(strength_model=1.0), comfy.hooks.HookGroup()
    hook.weights, hook.need_weight_init = weights(scene, 0.05), False
    group.add(hook)
    positive, negative = (
        core("hooks", "ConditioningSetProperties", cond_NEW=c, strength=1.0, set_cond_area="default", hooks=group)[0]
        for c in (scene.positive, scene.negative)
    )
    return {"positive": positive, "negative": negative}


def last_layer(scene: Any) -> dict[str, Any]:
    (clip,) = core("nodes", "CLIPSetLastLayer", clip=scene.clip, stop_at_clip_layer=-2)
    return {"clip": clip, "positive": encoded(scene, scene.prompt, clip)}


def other_layer_at_guidance(scene: Any) -> dict[str, Any]:
    return {"positive": last_layer(scene)["positive"]}


def worded(prompt: str, name: str = "red cup") -> Callable[[Any], dict[str, Any]]:
    """Another prompt, at both ends."""
    return lambda scene: {"prompt": prompt, "name": name, "positive": encoded(scene, prompt)}


def sharpened(scene: Any) -> dict[str, Any]:
    (operation,) = core("latent", "LatentOperationSharpen", sharpen_radius=3, sigma=1.0, alpha=0.1)
    return {"model": core("latent", "LatentApplyOperationCFG", model=scene.model, operation=operation)[0]}


def perp_neg(scene: Any) -> dict[str, Any]:
    empty = encoded(scene, "")
    return {"model": core("perpneg", "PerpNeg", model=scene.model, empty_conditioning=empty, neg_scale=1.0)[0]}


def in_place_within(scene: Any) -> dict[str, Any]:
    """Somebody's patch that writes into what its own arithmetic needs on the way back, and into what it is given."""

    def patch(h: torch.Tensor, skip: torch.Tensor, options: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        soft = torch.tanh(h)
        h *= soft
        soft += 1
        skip.mul_(skip.sigmoid())
        return h.mul_(0.5).add_(soft), skip

    model = scene.model.clone()
    model.set_model_output_block_patch(patch)
    return {"model": model}


def everything_in_place(scene: Any) -> dict[str, Any]:
    """Somebody's wrapper around the network that writes into what the network's own layers have saved."""
    model = scene.model.clone()
    block = scene.model.model.diffusion_model.middle_block[0]

    def run(apply: Callable, arguments: dict[str, Any]) -> torch.Tensor:
        handle = block.out_layers[1].register_forward_hook(lambda _, __, out: out.mul_(0.5))
        other = block.in_layers[0].register_forward_hook(lambda _, inputs, __: (inputs[0].mul_(1.0), None)[1])
        try:
            return apply(arguments["input"], arguments["timestep"], **arguments["c"])
        finally:
            handle.remove()
            other.remove()

    model.set_model_unet_function_wrapper(run)
    return {"model": model}


def cached_by_a_stranger(scene: Any) -> dict[str, Any]:
    """Somebody's cache: the network's answer for an earlier latent."""
    from comfy.patcher_extension import WrappersMP

    known: list[torch.Tensor] = []

    def answer(executor: Callable, x: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        return torch.zeros_like(x) if known or known.append(x) else torch.zeros_like(x)

    model = scene.model.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "somebody's cache", answer)
    return {"model": model}
