"""The protocol of ``sedic.restoration.denoiser`` over the model that ComfyUI's samplers are given."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.samplers
import torch
from torch import Tensor

from ...sedic.errors import SedicError
from ...sedic.restoration.denoiser import (
    HALF_PRECISION_SCALE,
    AttentionMap,
    scaled_gradient,
)
from .casting import transient_weights
from .control import guided, networks, part_of, prepare
from .families import Read, family_of
from .gradients import clone_conditioning, stranger
from .hints import guided_patches, with_parts
from .kernels import Stop
from .noise import noising_by
from .patches import cache_forgets, guided_options, strangers
from .prompt import EncodedPrompt, Words


class ComfyDenoiser:
    """:class:`~sedic.restoration.denoiser.Denoiser` over the model that a ComfyUI sampler function is given.

    Args:
        model: what the sampler calls with (x, sigma); its ``inner_model`` is the CFG guider.
        extra_args: passed on to it.
        checkpoint: whether guided passes keep few activations and compute the others twice.
        prompt: looked for among the positive conditionings, and the maps are of its tokens; None: of all tokens of
            the first that acts.
        note: told what the person who waits should know.
    """

    def __init__(
        self,
        model: Any,
        extra_args: dict[str, Any],
        checkpoint: bool = False,
        prompt: EncodedPrompt | None = None,
        note: Callable[[str], None] = warnings.warn,
    ):
        self.model, self.extra_args, self.checkpoint = model, extra_args, checkpoint
        self.words = Words(prompt, note)
        self.guider = model.inner_model
        self.conds: dict[str, list[dict[str, Any]]] = self.guider.conds
        self.network = self.guider.inner_model.diffusion_model
        self.family = family_of(self.network)
        self.ready = False
        self.pictures: dict[int, ComfyDenoiser] = {}

    @property
    def stride(self) -> float:
        return 1.0 if self.family is None else self.family.stride

    def noised(self, latent: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        return noising_by(self.guider.inner_model.model_sampling)(latent, sigma, noise)

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
        cache_forgets(self.extra_args["model_options"])
        condition = self._condition(x, level)
        control = condition.get("control")
        if not self.ready:
            with torch.no_grad():
                clone_conditioning(self.conds["positive"])
                if control is not None:
                    prepare(control, x.detach(), level)
            self.ready = True
        control_networks = [] if control is None else networks(control, level)
        family, read = self.family, self._read(condition, x, sigma, layers, control_networks, through_control)
        if family is None:
            raise stranger(self.guider.model_patcher)
        expected = family.expected(read)
        maps: list[AttentionMap] = []
        scale = HALF_PRECISION_SCALE if torch.float16 in self._precisions(control_networks) else 1.0
        options = guided_options(
            comfy.model_patcher.create_model_options_clone(self.extra_args["model_options"]),
            family.patches(control is not None),
        )
        with ExitStack() as stack:
            if control is not None:
                stack.enter_context(guided(control, through_control))
            for network in {read.network, *read.through}:
                stack.enter_context(transient_weights(network))
            stack.enter_context(guided_patches(self.extra_args["model_options"]))
            stack.enter_context(family.recording(read, maps))
            stack.enter_context(suppress(Stop))
            comfy.samplers.calc_cond_batch(
                self.guider.inner_model,
                [[condition]],
                scaled_gradient(x, 1 / scale),
                level,
                options,
            )
        if len(maps) < len(expected):
            raise SedicError(self._unreached(layers))
        return [self._of_prompt(one, condition, scale) for one in maps]

    def _read(self, condition: dict[str, Any], x: Tensor, sigma: Tensor, layers: Sequence[str], controls: list[Any],
              through: bool) -> Read:  # fmt: skip
        """What a guided pass with this conditioning reads."""
        text, prompt = condition["cross_attn"], self.words.prompt
        place = self.words.place(text)
        columns = None if prompt is None or place is None else tuple(place.offset + token for token in prompt.tokens)
        return Read(
            self.network, controls, controls if through else (), layers, (x.shape[-2], x.shape[-1]), sigma,
            text.shape[1],
            columns, "ref_latents" in condition.get("model_conds", {}), self.checkpoint,
        )  # fmt: skip

    def _of_prompt(self, one: AttentionMap, condition: dict[str, Any], scale: float) -> AttentionMap:
        """A map of the prompt's tokens, of one of all tokens of the conditioning's text, or of those wanted."""
        if one.tokens is not None and self.words.prompt is not None:
            return AttentionMap(scaled_gradient(one.weights, scale), one.grid, self.words.prompt.tokens)
        text = condition["cross_attn"]
        if one.from_control:
            text = condition.get("cross_attn_controlnet", text)
        place = self.words.place(text)
        if place is None:
            raise SedicError(
                "The ControlNet has a text of its own, without the object's prompt; read other layers, or give it the "
                "same text."
            )
        weights = one.weights
        if self.words.prompt is not None and place.length < weights.shape[-1]:
            weights = weights[..., place.offset : place.offset + place.length]
        return AttentionMap(scaled_gradient(weights, scale), one.grid)

    def _unreached(self, layers: Sequence[str]) -> str:
        others = strangers(self.extra_args["model_options"])
        if others:
            return (
                f"This model's {' and '.join(layers)} was not reached, perhaps because {' or '.join(others)} answers "
                "in the network's place; take that node out, or unplug guidance."
            )
        return f"This model's {' and '.join(layers)} was not reached; choose other ones."

    def window(self, rows: slice, columns: slice) -> ComfyDenoiser:
        everything = [condition for kind in self.conds.values() for condition in kind or ()]
        if (
            any({"area", "mask", "gligen"} & condition.keys() for condition in everything)
            or self.extra_args.get("denoise_mask") is not None
        ):
            raise SedicError("Conditioning or noise with areas or masks cannot be cut into tiles; raise working_size.")
        return self._part(
            lambda hint, scale: hint[
                ..., rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale
            ],
            lambda condition: condition,
        )

    def picture(self, index: int) -> ComfyDenoiser:
        if index not in self.pictures:

            def own(value: Any) -> Any:
                """Of a batch, as ComfyUI deals it to the latents: in turns where it is shorter."""
                if isinstance(value, Tensor):
                    return value[index % len(value)][None] if value.ndim > 1 and len(value) > 1 else value
                held = getattr(value, "cond", None)
                return value._copy_with(own(held)) if isinstance(held, Tensor) else value

            def condition_of(condition: dict[str, Any]) -> dict[str, Any]:
                models = {name: own(value) for name, value in condition.get("model_conds", {}).items()}
                texts = {
                    key: own(condition[key]) for key in ("cross_attn", "cross_attn_controlnet") if key in condition
                }
                return condition | texts | {"model_conds": models}

            self.pictures[index] = self._part(lambda hint, _: own(hint), condition_of)
        return self.pictures[index]

    def _part(self, cut: Callable[[Tensor, int], Tensor], own: Callable[[dict[str, Any]], dict[str, Any]]
              ) -> ComfyDenoiser:  # fmt: skip
        """A denoiser whose ControlNets and patches see a part of their hints; its conditionings are ``own``."""
        options = with_parts(self.extra_args["model_options"], self.model.noise, cut)
        given = {**self.extra_args, "model_options": options}
        part = ComfyDenoiser(self.model, given, self.checkpoint, self.words.prompt, self.words.note)
        controls: dict[int, Any] = {}  # both halves share one ControlNet: only then they run as one batch
        for condition in (condition for kind in self.conds.values() for condition in kind or ()):
            control = condition.get("control")
            if control is not None and id(control) not in controls:
                with torch.no_grad():
                    controls[id(control)] = part_of(control, self.model.noise, self.model.sigmas[:1], cut)
        part.conds = {
            kind: [
                own(c | {"control": controls[id(c["control"])]} if c.get("control") is not None else c)
                for c in conditions
            ]
            for kind, conditions in self.conds.items()
            if conditions is not None
        }
        return part

    def _condition(self, x: Tensor, level: Tensor) -> dict[str, Any]:
        """The positive conditioning at this noise level that holds the object's prompt; everywhere in the picture."""
        conditions = self.conds["positive"]
        acting = [c for c in conditions if comfy.samplers.get_area_and_mult(c, x, level) is not None]
        condition = self.words.choose(conditions, acting, level[0])
        return {key: value for key, value in condition.items() if key not in ("area", "mask")}

    def _precisions(self, control_networks: list[Any]) -> set[torch.dtype]:
        """In which the networks compute, or store what they may compute in."""
        inner = self.guider.inner_model
        return {inner.manual_cast_dtype or inner.get_dtype(), *(network.dtype for network in control_networks)}
