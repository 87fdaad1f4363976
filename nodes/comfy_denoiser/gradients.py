"""Making a MODEL fit for backward passes, and saying which cannot be.

What ComfyUI does to gradients, and what is done about it here:

* Nodes run under inference mode and so does the loading of weights; backward refuses such tensors. The step loop
  leaves the mode, and :func:`gradient_ready` replaces the weights by clones, one at a time, whenever they are loaded.
* A control is added in place on skip tensors that autograd has saved: a patch clones them (``denoiser``).
* Attention kernels without a backward are replaced by PyTorch's own for the guided forward pass (``attention``).
* Other nodes' patches may write into what autograd has saved: they work on copies (``patches``).
* Compiled graphs and caches are left out of the guided pass where ComfyUI's own nodes made them (``patches``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import torch
from torch import Tensor, nn

from ...sedic.errors import SedicError
from .families import FAMILIES, family_of


class GradientError(SedicError):
    """This model cannot be guided."""


def with_gradients(model: comfy.model_patcher.ModelPatcher) -> comfy.model_patcher.ModelPatcher:
    """A clone of MODEL whose weights, and those of its ControlNets, autograd accepts once they are loaded.

    Raises:
        GradientError: there is no way back through this model; says why.
    """
    options = comfy.model_patcher.create_model_options_clone(model.model_options)
    try:
        model = model.clone(disable_dynamic=True)  # newer cores stream weights through a reused buffer otherwise
    except TypeError:
        model = model.clone()
    model.model_options = options  # an older core's clone copies the patches, with all networks that they bring
    if family_of(model.get_model_object("diffusion_model")) is None:
        raise stranger(model)
    obstacle = why_no_gradient(model)
    if obstacle:
        raise GradientError(
            f"This model {obstacle}, which has no gradient; load it in another way, unplug guidance, or set "
            "if_unguidable to go on."
        )
    wrappers = comfy.patcher_extension.WrappersMP
    model.add_wrapper_with_key(wrappers.PREPARE_SAMPLING, "SEDIC", gradient_ready)
    model.add_wrapper_with_key(wrappers.OUTER_SAMPLE, "SEDIC", unloaded_on_error)
    return model


def stranger(model: Any) -> GradientError:
    """That guidance knows no family of this MODEL's."""
    names = ", ".join(known.name for known in FAMILIES)
    return GradientError(
        f"This model, of ComfyUI's class {type(model.model).__name__}, is of no family whose attention guidance reads "
        f"({names}); unplug guidance, or set if_unguidable to go on."
    )


def why_no_gradient(model: Any) -> str | None:
    """What stands between a MODEL and its gradient, in words that follow "This model"; None if nothing does."""
    if getattr(model, "is_dynamic", lambda: False)():
        return "streams its weights through a buffer that is used again (dynamic offload)"
    if getattr(model, "is_multigpu_base_clone", False) or getattr(model, "additional_models", {}).get("multigpu"):
        return "is spread over several graphics cards"
    network = model.get_model_object("diffusion_model")
    for module in network.modules():
        if isinstance(module, torch._dynamo.OptimizedModule):
            return "is compiled by a node other than ComfyUI's own"
        # fp8 that is only stored, and cast for each layer, has a gradient; fp8 that is multiplied has none.
        if type(module).__qualname__.startswith("fp8_ops.") or any(_quantised(p) for p in module.parameters(False)):
            return "multiplies quantised weights"
    return None


def _quantised(value: Tensor) -> bool:
    """Whether a weight is kept as packed numbers, by ComfyUI or by a node of GGUF, NF4 or other small formats."""
    kinds = {type(value).__name__, type(value.data).__name__}
    return bool(kinds & {"QuantizedTensor", "GGMLTensor"}) or not (value.is_floating_point() or value.is_complex())


def gradient_ready(executor: Callable, model: Any, *arguments: Any, **options: Any) -> Any:
    """Loads as ever, then replaces inference tensors of all models involved by clones; values stay the same."""
    with torch.inference_mode(False):
        result = executor(model, *arguments, **options)
        for patcher in (model, *result[2]):
            replace_inference_tensors(patcher.model)
        return result


def unloaded_on_error(executor: Callable, *arguments: Any, **options: Any) -> Any:
    """Samples as ever; where that fails, ComfyUI's list of loaded models holds nothing of this run afterwards.

    ComfyUI keeps a failed node's frames in a reference cycle, and with them this clone and the MODEL that it was made
    from. Where both are collected at once, the list would be left with an entry of no model, which every later
    sampling with a ControlNet stumbles over.
    """
    try:
        return executor(*arguments, **options)
    except BaseException:
        patcher, loaded = executor.class_obj.model_patcher, comfy.model_management.current_loaded_models  # type: ignore
        for entry in [entry for entry in loaded if entry.model is patcher]:
            loaded.remove(entry)
            entry.model_unload()
        raise


def replace_inference_tensors(module: nn.Module) -> None:
    """Clones a module's inference parameters and buffers one at a time, so that memory grows by one tensor at most.

    Parameters ask for no gradient afterwards: otherwise autograd keeps what only their gradients would need.
    """
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None and value.is_inference():
                part._parameters[name] = nn.Parameter(value.detach().clone(), requires_grad=False)
            elif value is not None and value.requires_grad:
                value.requires_grad_(False)
        for name, buffer in part._buffers.items():
            if buffer is not None and buffer.is_inference():
                part._buffers[name] = buffer.clone()


def clone_conditioning(conditions: list[dict[str, Any]]) -> None:
    """Replaces the inference tensors among a sampling run's own conditioning objects."""
    for condition in conditions:
        for part in condition.get("model_conds", {}).values():
            if isinstance(getattr(part, "cond", None), Tensor) and part.cond.is_inference():
                part.cond = part.cond.clone()


def no_way_back(error: RuntimeError) -> str | None:
    """Why PyTorch finds no way back through what ran, if that is what the error says."""
    said = str(error)
    if "modified by an inplace operation" in said:
        return "another node's patch writes over what the way back needs"
    if any(words in said for words in ("does not require grad", "not implemented", "Inference tensors")):
        return said.splitlines()[0][:120]
    return None
