"""The table of second thoughts: what a person may change about a stage, each of which samples anew."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from sedic.models.embedded import LATENT_CHANNELS

from .neighbour_nodes import core, encoded, patched, weights
from .scene import apply_control

Change = Callable[[Any, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Thought:
    """One second thought.

    Attributes:
        name: what is changed.
        change: of the scene and a stage's inputs, those that are different.
        before: what the stage is given already, where the change is one of that; may share state with ``change``.
    """

    name: str
    change: Change
    before: Change = lambda scene, given: {}


def to(**values: Any) -> Change:
    return lambda scene, given: values


def node(module: str, name: str, **inputs: Any) -> Change:
    return lambda scene, given: patched(module, name, **inputs)(scene)


def lora(strength: float) -> Change:
    def build(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
        model = scene.model.clone()
        model.add_patches(weights(scene, 0.05), strength)
        return {"model": model}

    return build


def changed_in_place(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Somebody's node that writes other strengths into the MODEL that it was given."""
    patches = given["model"].patches
    for key, some in patches.items():
        patches[key] = [(2 * one[0], *one[1:]) for one in some]
    return {}


def hooked(strength: float, start: float = 0.0) -> Change:
    """A LoRA as a hook, of the same weights whatever its strength."""

    def build(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
        import comfy.hooks

        if not hasattr(scene, "weights"):
            scene.weights, scene.reference = weights(scene, 0.05), comfy.hooks._HookRef()
        hook, group = comfy.hooks.WeightHook(strength_model=strength), comfy.hooks.HookGroup()
        hook.weights, hook.need_weight_init, hook.hook_ref = scene.weights, False, scene.reference
        keyframes = comfy.hooks.HookKeyframeGroup()
        keyframes.add(comfy.hooks.HookKeyframe(strength=1.0, start_percent=start))
        group.add(hook)
        group.set_keyframes_on_hooks(keyframes)
        options = {"strength": 1.0, "set_cond_area": "default", "hooks": group}
        return {
            name: core("hooks", "ConditioningSetProperties", cond_NEW=getattr(scene, name), **options)[0]
            for name in ("positive", "negative")
        }

    return build


class Scaled(torch.nn.Module):
    """Somebody's patch with a number that can be set, as a network of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = 0.9

    def __deepcopy__(self, _: Any) -> Scaled:
        return self  # it holds a model, as many do

    def forward(self, h: torch.Tensor, skip: torch.Tensor, options: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return h * self.scale, skip


def with_scale(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    scene.scaled = Scaled()
    model = scene.model.clone()
    model.set_model_output_block_patch(scene.scaled)
    return {"model": model}


def other_scale(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    scene.scaled.scale = 0.8
    return {}


def counted(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The same patch as a function, whose number lies in what it closes over."""
    scene.number = [0.9]
    model, number = scene.model.clone(), scene.number
    model.set_model_output_block_patch(lambda h, skip, options: (h * number[0], skip))
    return {"model": model}


def other_count(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    scene.number[0] = 0.8
    return {}


def another_checkpoint(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Another one of the same class, its patches numbered like the first one's."""
    model = scene.models.load_network()
    model.patches_uuid = scene.model.patches_uuid
    return {"model": model}


def another_vae(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {"vae": scene.models.load_vae()}


def another_control_net(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {"control_net": scene.models.load_control_net()}


def watched(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Somebody's hook on a layer of the network."""
    given["model"].model.diffusion_model.middle_block[0].register_forward_hook(lambda _, __, out: out * 0.9)
    return {}


def halved(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    network = given["model"].model.diffusion_model
    network.to(torch.bfloat16)
    network.dtype = torch.bfloat16
    return {}


def controlled(**inputs: Any) -> Change:
    def build(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
        positive, negative = apply_control(scene, scene.control_net, scene.positive, scene.negative, **inputs)
        return {"positive": positive, "negative": negative}

    return build


def in_area(strength: float) -> Change:
    def build(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
        area = {"width": 64, "height": 64, "x": 0, "y": 0, "strength": strength}
        return {"positive": core("nodes", "ConditioningSetArea", conditioning=scene.positive, **area)[0]}

    return build


def one_pixel(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    image = scene.image.clone()
    image[0, 0, 0, 0] += 1e-6
    return {"image": image}


def words(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {"positive": encoded(scene, "blue cup, a glossy blue cup with a white rim")}


def guided(**settings: Any) -> Change:
    def build(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
        return {"guidance": scene.guided(**settings)}

    return build


def other_mask(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    mask = scene.mask.clone()
    mask[40, 20] = 0
    return {"guidance": replace(given["guidance"], mask=mask)}


def other_tokens(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {"guidance": replace(given["guidance"], tokens=given["guidance"].tokens[:1])}


def latent_of(value: float) -> dict[str, torch.Tensor]:
    return {"samples": torch.full((1, LATENT_CHANNELS, 16, 8), value)}


def fused(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {"fusion": scene.fusion(scene.mask, latent_of(1.0)), "stage": 1}


def fused_otherwise(**parts: Any) -> Change:
    def build(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
        made = {name: part(scene) for name, part in parts.items()}
        return {"fusion": replace(given["fusion"], **made)}

    return build


def behind_a_stage(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    levels = torch.tensor([scene.model.get_model_object("model_sampling").sigma_max.item(), 0.0])
    scene.before = scene.trajectory(levels, tuple(torch.zeros(1, LATENT_CHANNELS, 16, 8) for _ in levels))
    return {"fusion": scene.fusion(scene.mask, scene.before)}


def color_fixed(value: float, detail: float = 1.0) -> Change:
    reference = torch.full((1, 128, 64, 3), value)
    return lambda scene, given: {"color_fix": True, "reference": reference, "detail": detail}


SAMPLING = {"cfg": 3.0, "steps": 2, "sampler": "ddim", "scheduler": "karras", "seed": 4, "stage": 1}
ADDED = {"start": 0.0, "end": 0.5}

THOUGHTS = [
    *(Thought(name, to(**{name: value})) for name, value in SAMPLING.items()),
    Thought("words", words),
    Thought("negative words", lambda scene, given: {"negative": encoded(scene, "")}),
    Thought("a pixel of the picture", one_pixel),
    Thought("working_size", to(working_size=64)),
    Thought("colours", color_fixed(0.4), color_fixed(0.5)),
    Thought("detail", color_fixed(0.4, 0.5), color_fixed(0.4)),
    Thought("VAE", another_vae),
    Thought("checkpoint", another_checkpoint),
    Thought("precision of the weights", halved, another_checkpoint),
    Thought("a hook on a layer", watched, another_checkpoint),
    Thought("LoRA", lora(1.0)),
    Thought("LoRA's strength", lora(0.5), lora(1.0)),
    Thought("LoRA's strength, in place", changed_in_place, lora(1.0)),
    Thought("LoRA as hook", hooked(1.0)),
    Thought("LoRA's strength, as hook", hooked(0.5), hooked(1.0)),
    Thought("LoRA's keyframe, as hook", hooked(1.0, 0.5), hooked(1.0)),
    Thought("FreeU", node("freelunch", "FreeU", b1=1.1, b2=1.2, s1=0.9, s2=0.2)),
    Thought("FreeU's numbers", node("freelunch", "FreeU", b1=1.2, b2=1.2, s1=0.9, s2=0.2),
            node("freelunch", "FreeU", b1=1.1, b2=1.2, s1=0.9, s2=0.2)),
    Thought("a patch's number, in place", other_scale, with_scale),
    Thought("a patch's number, in what it closes over", other_count, counted),
    Thought("RescaleCFG", node("model_advanced", "RescaleCFG", multiplier=0.7)),
    Thought("RescaleCFG's number", node("model_advanced", "RescaleCFG", multiplier=0.6),
            node("model_advanced", "RescaleCFG", multiplier=0.7)),
    Thought("ModelSamplingDiscrete", node("model_advanced", "ModelSamplingDiscrete", sampling="v_prediction",
                                          zsnr=False)),
    Thought("ModelComputeDtype", node("model_advanced", "ModelComputeDtype", dtype="bf16")),
    Thought("an area's strength", in_area(0.5), in_area(1.0)),
    Thought("ControlNet", lambda scene, given: {"control_net": scene.control_net}),
    Thought("another ControlNet", another_control_net, lambda scene, given: {"control_net": scene.control_net}),
    Thought("ControlNet's strength", to(strength=0.5), lambda scene, given: {"control_net": scene.control_net}),
    Thought("ControlNet's strength, applied before", controlled(strength=0.5), controlled(strength=1.0)),
    Thought("ControlNet's range, applied before", controlled(**ADDED), controlled()),
    Thought("guidance", guided()),
    Thought("eta", guided(eta=20.0), guided(eta=40.0)),
    Thought("updates", guided(updates=2), guided(updates=1)),
    Thought("layers", guided(layers=("middle block",)), guided()),
    Thought("checkpointing", to(checkpointing=True), guided()),
    Thought("if_unguidable", to(if_unguidable="go on"), guided()),
    Thought("mask of guidance", other_mask, guided()),
    Thought("guided tokens", other_tokens, guided()),
    Thought("fusion", fused),
    Thought("mask of fusion", fused_otherwise(mask=lambda scene: 1 - scene.mask), fused),
    Thought("soft edge", fused_otherwise(soft_edge=lambda scene: 2), fused),
    Thought("the latent before", fused_otherwise(previous=lambda scene: latent_of(0.0)), fused),
    Thought("the stage before", fused_otherwise(previous=lambda scene: replace(
        scene.before, latents=(scene.before.latents[0], scene.before.latents[1] + 1))), behind_a_stage),
]  # fmt: skip


def copied(scene: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Inputs of the same content that are other objects throughout, as a graph makes them of a file that changed."""
    made = dict(given)
    for name in ("positive", "negative"):
        made[name] = [[tensor.clone(), dict(options)] for tensor, options in given[name]]
        for _, options in made[name]:
            options |= {key: value.clone() for key, value in options.items() if isinstance(value, torch.Tensor)}
            if "control" in options:
                options["control"] = given[name][0][1]["control"].copy().set_cond_hint(
                    scene.image.movedim(-1, 1).clone(), given[name][0][1]["control"].strength,
                    given[name][0][1]["control"].timestep_percent_range, vae=scene.vae,
                )  # fmt: skip
            if "hooks" in options:
                options["hooks"] = options["hooks"].clone()
    made["model"], made["image"] = given["model"].clone(), given["image"].clone()
    if given.get("control_net") is not None:
        made["control_net"] = given["control_net"].copy()
    for name in ("guidance", "fusion", "reference"):
        made |= {name: copy.deepcopy(given[name])} if name in given else {}
    return made


def loaded(pack: Any) -> Any:
    """The pack's models, to be loaded anew."""
    return importlib.import_module(f"{pack.__name__}.nodes.models")
