"""The denoiser on ComfyUI's own models, inside its samplers.

What ComfyUI does to gradients, and what is done about it here:

* Nodes run under inference mode and so does the loading of weights; backward refuses such tensors. The step loop
  leaves the mode, and :func:`gradient_ready` replaces the weights by clones, one at a time, whenever they are loaded.
* A control is added in place on skip tensors that autograd has saved: a patch clones them.
* Attention kernels without a backward are replaced by PyTorch's own for the guided forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import comfy.k_diffusion.sampling
import comfy.ldm.modules.attention
import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import comfy.samplers
import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import Upsample
from torch import Tensor, nn

from ..sedic.errors import SedicError
from ..sedic.restoration.denoiser import ATTENTION_LAYERS, AttentionMap, attention_grid, attention_weights
from ..sedic.restoration.fusion import Fusion, Trajectory
from ..sedic.restoration.guidance import Guidance
from ..sedic.restoration.solvers import Solver
from ..sedic.restoration.stages import restore
from ..sedic.restoration.starts import stage_noise


class _Stop(Exception):
    pass


class ComfyDenoiser:
    """:class:`~sedic.restoration.denoiser.Denoiser` over the model that a ComfyUI sampler function is given.

    Args:
        model: what the sampler calls with (x, sigma); its ``inner_model`` is the CFG guider.
        extra_args: passed on to it.
    """

    def __init__(self, model: Any, extra_args: dict[str, Any]):
        self.model, self.extra_args = model, extra_args
        self.guider = model.inner_model
        self.network = self.guider.inner_model.diffusion_model
        self.hint_ready = False

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.model(x, sigma * x.new_ones([x.shape[0]]), **self.extra_args)

    def attention(
        self, x: Tensor, sigma: Tensor, layers: Sequence[str], through_control: bool = True
    ) -> list[AttentionMap]:
        if not self.hint_ready:
            # The ControlNet encodes its hint in its first forward pass, where no gradient is wanted.
            clone_conditioning(self.guider.conds["positive"])
            with torch.no_grad():
                self._attention(x.detach(), sigma, layers)
            self.hint_ready = True
        return self._attention(x, sigma, layers)

    def _attention(self, x: Tensor, sigma: Tensor, layers: Sequence[str]) -> list[AttentionMap]:
        blocks = attention_blocks(self.network, layers)
        options = comfy.model_patcher.create_model_options_clone(self.extra_args["model_options"])
        transformer = options.setdefault("transformer_options", {}).copy()
        options["transformer_options"] = transformer
        maps: list[AttentionMap] = []
        total = sum(depth for _, depth in blocks)
        replace = {kind: dict(patches) for kind, patches in transformer.get("patches_replace", {}).items()}
        attn2 = replace.setdefault("attn2", {})
        for block, depth in blocks:
            for index in range(depth):
                existing = attn2.get((*block, index), attn2.get(block))
                attn2[(*block, index)] = _recorder(maps, total, (x.shape[-2], x.shape[-1]), existing)
        transformer["patches_replace"] = replace
        patches = {kind: list(some) for kind, some in transformer.get("patches", {}).items()}
        patches.setdefault("input_block_patch_after_skip", []).append(lambda h, _: h.clone())
        transformer["patches"] = patches
        transformer["optimized_attention_override"] = _pytorch_attention
        noise_level = sigma * x.new_ones([x.shape[0]])
        try:
            comfy.samplers.calc_cond_batch(
                self.guider.inner_model, [self.guider.conds["positive"]], x, noise_level, options
            )
        except _Stop:
            return maps
        raise SedicError(
            f"This model's {' and '.join(layers)} was not reached; choose another of {', '.join(ATTENTION_LAYERS)}."
        )


def _recorder(maps: list[AttentionMap], total: int, latent: tuple[int, int], existing: Callable | None) -> Callable:
    """A cross-attention replacement that records the weights and stops the forward pass behind the last one."""

    def attend(query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
        weights = attention_weights(query, key, options["n_heads"])
        maps.append(AttentionMap(weights, attention_grid(weights.shape[1], *latent)))
        if len(maps) == total:
            raise _Stop
        if existing is not None:
            return existing(query, key, value, options)
        return comfy.ldm.modules.attention.attention_pytorch(query, key, value, options["n_heads"])

    return attend


def _pytorch_attention(_: Callable, *arguments: Any, **options: Any) -> Tensor:
    options.pop("transformer_options", None)
    return comfy.ldm.modules.attention.attention_pytorch(*arguments, **options)


def attention_blocks(network: Any, layers: Sequence[str]) -> list[tuple[tuple[str, int], int]]:
    """((kind, number), transformer depth) of the cross-attention that is read, in the order in which it runs.

    Raises:
        SedicError: the network is no UNet, or has no such block.
    """
    if not hasattr(network, "output_blocks") or not hasattr(network, "middle_block"):
        raise SedicError("Attention guidance reads a UNet's cross-attention, and this model has none; unplug guidance.")
    levels: list[list[tuple[tuple[str, int], int]]] = [[]]
    for number, block in enumerate(network.output_blocks):
        levels[-1].extend((("output", number), depth) for depth in _depths(block))
        if any(isinstance(layer, Upsample) for layer in block):
            levels.append([])
    attending = [level for level in levels if level]
    choices = {"middle block": [(("middle", 0), depth) for depth in _depths(network.middle_block)]}
    choices |= {f"{rank} up block": level for rank, level in zip(("first", "second"), attending, strict=False)}
    absent = [name for name in layers if not choices.get(name)]
    if absent:
        raise SedicError(f"This model has no {absent[0]} with cross-attention; choose from {', '.join(choices)}.")
    return [block for name, blocks in choices.items() if name in layers for block in blocks]


def _depths(block: Any) -> list[int]:
    return [len(layer.transformer_blocks) for layer in block if isinstance(layer, SpatialTransformer)]


def clone_conditioning(conditions: list[dict[str, Any]]) -> None:
    """Replaces the inference tensors among a sampling run's own conditioning objects."""
    for condition in conditions:
        for part in condition.get("model_conds", {}).values():
            if isinstance(getattr(part, "cond", None), Tensor) and part.cond.is_inference():
                part.cond = part.cond.clone()


def with_gradients(model: comfy.model_patcher.ModelPatcher) -> comfy.model_patcher.ModelPatcher:
    """A clone of MODEL whose weights, and those of its ControlNets, autograd accepts once they are loaded."""
    try:
        model = model.clone(disable_dynamic=True)  # newer cores stream weights through a reused buffer otherwise
    except TypeError:
        model = model.clone()
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.PREPARE_SAMPLING, "SEDIC", gradient_ready)
    return model


def gradient_ready(executor: Callable, model: Any, *arguments: Any, **options: Any) -> Any:
    """Loads as ever, then replaces inference tensors of all models involved by clones; values stay the same."""
    with torch.inference_mode(False):
        result = executor(model, *arguments, **options)
        for patcher in (model, *result[2]):
            replace_inference_tensors(patcher.model)
        return result


def replace_inference_tensors(module: nn.Module) -> None:
    """Clones a module's inference parameters and buffers one at a time, so that memory grows by one tensor at most."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None and value.is_inference():
                part._parameters[name] = nn.Parameter(value.detach().clone(), requires_grad=False)
        for name, buffer in part._buffers.items():
            if buffer is not None and buffer.is_inference():
                part._buffers[name] = buffer.clone()


def stage_sampler(
    solver: Solver,
    guidance: Guidance | None = None,
    fusion: Fusion | None = None,
    seed: int | None = None,
    record: Callable[[Trajectory], None] | None = None,
) -> comfy.samplers.KSAMPLER:
    """Algorithm 1's inner loop as a ComfyUI SAMPLER.

    Args:
        solver: the step between noise levels.
        guidance, fusion: None leaves Eq. 3 or Eq. 4 out.
        seed: of the reference's noise; None takes the sampler's own.
        record: given the trajectory when the stage is done.
    """

    def sample(
        model: Any, x: Tensor, sigmas: Tensor, extra_args: dict[str, Any], callback: Any = None, disable: Any = None
    ) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            x, sigmas = x.clone(), sigmas.clone()
            denoiser = ComfyDenoiser(model, extra_args)

            def progress(step: int, denoised: Tensor, x: Tensor) -> None:
                comfy.model_management.throw_exception_if_processing_interrupted()
                if callback:
                    callback(
                        {"i": step, "denoised": denoised, "x": x, "sigma": sigmas[step], "sigma_hat": sigmas[step]}
                    )

            ready = fusion
            if fusion is not None and not isinstance(fusion.previous, Trajectory):
                latent = fusion.previous["samples"] if isinstance(fusion.previous, dict) else fusion.previous
                ready = replace(fusion, previous=denoiser.guider.inner_model.process_latent_in(latent.clone().to(x)))
            noise = stage_noise(x, extra_args.get("seed", 0) if seed is None else seed, 0)
            # The stock sampler's own noise, so that an ancestral stage without guidance is its, bit for bit.
            fresh = partial(comfy.k_diffusion.sampling.default_noise_sampler, x, extra_args.get("seed"))
            trajectory = restore(denoiser, x, sigmas, solver, guidance, ready, noise, progress, fresh)
            if record:
                record(trajectory)
            return trajectory.latents[-1]

    return comfy.samplers.KSAMPLER(sample)
