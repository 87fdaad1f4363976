"""The protocol of ``sedic.restoration.denoiser`` over the model that ComfyUI's samplers are given."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.samplers
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...sedic.errors import SedicError
from ...sedic.restoration.denoiser import (
    ATTENTION_LAYERS,
    CONTROL_LAYERS,
    HALF_PRECISION_SCALE,
    AttentionMap,
    scaled_gradient,
)
from .attention import (
    Stop,
    checkpointing,
    control_layers,
    recording,
    unet_layers,
    use_pytorch,
)
from .casting import transient_weights
from .control import ControlStandIn, networks, prepare, windowed
from .gradients import clone_conditioning


class ComfyDenoiser:
    """:class:`~sedic.restoration.denoiser.Denoiser` over the model that a ComfyUI sampler function is given.

    Args:
        model: what the sampler calls with (x, sigma); its ``inner_model`` is the CFG guider.
        extra_args: passed on to it.
        checkpoint: whether guided passes keep few activations and compute the others twice.
    """

    def __init__(self, model: Any, extra_args: dict[str, Any], checkpoint: bool = False):
        self.model, self.extra_args, self.checkpoint = model, extra_args, checkpoint
        self.guider = model.inner_model
        self.conds: dict[str, list[dict[str, Any]]] = self.guider.conds
        self.network = self.guider.inner_model.diffusion_model
        self.ready = False

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        conds, self.guider.conds = self.guider.conds, self.conds
        try:
            return self.model(x, sigma * x.new_ones([x.shape[0]]), **self.extra_args)
        finally:
            self.guider.conds = conds

    def attention(
        self, x: Tensor, sigma: Tensor, layers: Sequence[str], through_control: bool = True
    ) -> list[AttentionMap]:
        comfy.model_management.throw_exception_if_processing_interrupted()
        level = sigma * x.new_ones([x.shape[0]])
        condition = self._condition(x, level)
        control = condition.get("control")
        if not self.ready:
            with torch.no_grad():
                clone_conditioning(self.conds["positive"])
                if control is not None:
                    prepare(control, x.detach(), level)
            self.ready = True
        control_networks = [] if control is None else networks(control, level)
        own = [m for n in control_networks for m in control_layers(n)] if CONTROL_LAYERS in layers else []
        modules = [*own, *unet_layers(self.network, layers)]
        if not modules:
            raise SedicError(
                f"No ControlNet with cross-attention acts at sigma {sigma.item():.3g}; read other layers, or widen its "
                "range."
            )
        maps: list[AttentionMap] = []
        if control is not None:
            condition = condition | {"control": ControlStandIn(control, through_control)}
        scale = HALF_PRECISION_SCALE if torch.float16 in self._precisions(control_networks) else 1.0
        with ExitStack() as stack:
            for network in {self.network, *(control_networks if through_control else ())}:
                stack.enter_context(transient_weights(network))
                if self.checkpoint:
                    stack.enter_context(checkpointing(network, modules))
            stack.enter_context(recording(modules, (x.shape[-2], x.shape[-1]), maps))
            stack.enter_context(suppress(Stop))
            comfy.samplers.calc_cond_batch(
                self.guider.inner_model,
                [[condition]],
                scaled_gradient(x, 1 / scale),
                level,
                self._guided_options(control is not None),
            )
        if len(maps) < len(modules):
            raise SedicError(
                f"This model's {' and '.join(layers)} was not reached; choose another of {', '.join(ATTENTION_LAYERS)}."
            )
        return [AttentionMap(scaled_gradient(one.weights, scale), one.grid) for one in maps]

    def window(self, rows: slice, columns: slice) -> ComfyDenoiser:
        everything = [condition for kind in self.conds.values() for condition in kind or ()]
        if (
            any({"area", "mask", "gligen"} & condition.keys() for condition in everything)
            or self.extra_args.get("denoise_mask") is not None
        ):
            raise SedicError("Conditioning or noise with areas or masks cannot be cut into tiles; raise working_size.")
        whole = self.model.noise[:1]
        level = self.model.sigmas[:1]
        part = ComfyDenoiser(self.model, self.extra_args, self.checkpoint)
        cut: dict[int, Any] = {}  # both halves share one ControlNet: only then they run as one batch
        for condition in everything:
            control = condition.get("control")
            if control is not None and id(control) not in cut:
                with torch.no_grad():
                    cut[id(control)] = windowed(control, whole, level, rows, columns)
        part.conds = {
            kind: [c | {"control": cut[id(c["control"])]} if c.get("control") is not None else c for c in conditions]
            for kind, conditions in self.conds.items()
            if conditions is not None
        }
        return part

    def _condition(self, x: Tensor, level: Tensor) -> dict[str, Any]:
        """The positive conditioning that acts at this noise level; of several, the first; everywhere in the picture."""
        for condition in self.conds["positive"]:
            if comfy.samplers.get_area_and_mult(condition, x, level) is not None:
                return {key: value for key, value in condition.items() if key not in ("area", "mask")}
        raise SedicError(f"No positive conditioning acts at sigma {level[0].item():.3g}; widen its timestep range.")

    def _precisions(self, control_networks: list[Any]) -> set[torch.dtype]:
        """In which the networks compute, or store what they may compute in."""
        inner = self.guider.inner_model
        return {inner.manual_cast_dtype or inner.get_dtype(), *(network.dtype for network in control_networks)}

    def _guided_options(self, control: bool) -> dict[str, Any]:
        """The user's model options, with PyTorch's attention and without compilation."""
        options = comfy.model_patcher.create_model_options_clone(self.extra_args["model_options"])
        transformer = options.setdefault("transformer_options", {})
        transformer["optimized_attention_override"] = use_pytorch
        transformer.get("wrappers", {}).get(WrappersMP.APPLY_MODEL, {}).pop("torch.compile", None)
        if control:
            # ComfyUI adds a control in place on a skip that autograd has saved.
            patches = transformer.setdefault("patches", {})
            patches["input_block_patch_after_skip"] = [
                *patches.get("input_block_patch_after_skip", ()),
                lambda h, _: h.clone(),
            ]
        return options
