"""One stage on ComfyUI's models: from sockets to a sampling run and back to a picture."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any

import comfy.ldm.modules.attention
import comfy.model_management
import comfy.sample
import comfy.samplers
import latent_preview
import torch
from torch import Tensor
from torch.nn import functional as F

from ..sedic.errors import SedicError
from ..sedic.restoration import guidance as equations
from ..sedic.restoration.color_fix import fix_colors
from ..sedic.restoration.fusion import Fusion, Trajectory
from ..sedic.restoration.guidance import Guidance
from ..sedic.restoration.solvers import solver_named
from ..sedic.restoration.starts import pad_to_multiple, stage_seed
from .comfy_denoiser import (
    GradientError,
    Latents,
    is_flow,
    latents_of,
    native_size,
    noising,
    stage_sampler,
    with_gradients,
    with_pictures,
)
from .progress import Teller
from .remembered import STAGES, Restored


@dataclass(frozen=True)
class Sampling:
    """What both sampling nodes set: seed, stage, steps, guidance scale, sampler, scheduler, ControlNet strength.

    ``denoise`` is ComfyUI's: below 1, the last steps of a longer run.
    """

    seed: int
    stage: int
    steps: int
    cfg: float
    sampler: str
    scheduler: str
    strength: float
    denoise: float = 1.0


@dataclass(frozen=True)
class Handling:
    """How a stage copes with the machine.

    Attributes:
        working_size: pixels a side that the network sees at once; 0: what it was made for.
        checkpointing: whether guided updates keep few activations and compute the others twice.
        go_on: whether a model that cannot be guided is sampled without guidance, instead of an error.
        notes: filled with what the person who waits should know.
        picture: which of a batch of ``pictures`` this is, for the bar.
    """

    working_size: int = 0
    checkpointing: bool = False
    go_on: bool = False
    notes: list[str] = field(default_factory=list)
    picture: int = 0
    pictures: int = 1

    def note(self, text: str) -> None:
        """Keeps a sentence for the node, and writes it into ComfyUI's log."""
        if text not in self.notes:
            self.notes.append(text)
            logging.warning(text)


def run_stage(model: Any, positive: Any, negative: Any, vae: Any, image: Tensor, sampling: Sampling, hint: Tensor,
              control_net: Any = None, guidance: Guidance | None = None, fusion: Fusion | None = None,
              around: Any = None, handling: Handling | None = None, colors: Tensor | None = None,
              detail: float = 1.0, **loop: Any) -> tuple[Tensor, Trajectory, Tensor]:  # fmt: skip
    """One stage of one picture, sampled unless it was on the same inputs; (latent, trajectory, picture of its size).

    ``around`` makes the latent around which the noise lies from the picture's (None: 0, pure noise); ``colors`` is the
    IMAGE of its size whose coarse colours the result gets, with the share ``detail`` of what is finer; ``loop`` goes to
    :func:`~sedic.restoration.stages.restore`.

    Raises:
        SedicError: the model cannot be guided, or memory is full; says what to do.
    """
    handling = handling or Handling()
    sigmas = noise_levels(model, sampling)
    inputs = {
        "model": model, "positive": positive, "negative": negative, "vae": vae, "image": image, "sampling": sampling,
        "hint": hint, "control_net": control_net, "guidance": guidance, "fusion": fusion, "around": around,
        "size": handling.working_size, "checkpointing": handling.checkpointing, "go on": handling.go_on,
        "colors": colors, "detail": detail, "loop": loop, "sigmas": sigmas, "solver": solver_named(sampling.sampler),
        # What somebody may put in the place of, for everybody:
        "attention": comfy.ldm.modules.attention.optimized_attention, "energy": equations.energy_of,
    }  # fmt: skip

    def sample() -> Restored:
        own = replace(handling, notes=[])
        results = sample_stage(model, positive, negative, vae, image, sampling, sigmas, hint, control_net, guidance,
                               fusion, around, own, colors, detail, **loop)  # fmt: skip
        return Restored(*results, tuple(own.notes))

    restored = STAGES.restored(inputs, sample)
    handling.notes.extend(text for text in restored.notes if text not in handling.notes)
    return restored.latent, restored.trajectory, restored.picture


def sample_stage(model: Any, positive: Any, negative: Any, vae: Any, image: Tensor, sampling: Sampling,
                 sigmas: Tensor, hint: Tensor, control_net: Any, guidance: Guidance | None, fusion: Fusion | None,
                 around: Any, handling: Handling, colors: Tensor | None, detail: float, **loop: Any,
                 ) -> tuple[Tensor, Trajectory, Tensor]:  # fmt: skip
    """:func:`run_stage` on these noise levels, sampled in any case."""
    size = handling.working_size or native_size(model)
    latents, vae = latents_of(model, vae), OnceEncoded(vae)
    height, width = image.shape[1:3]
    if control_net is not None:
        positive, negative = with_control(
            [positive, negative], control_net, padded(hint, latents), sampling.strength, vae
        )
    working = padded(image, latents)
    if working.shape != image.shape:
        fits = image.shape[1:3]
        model = with_pictures(model, lambda own: padded(own, latents) if own.shape[1:3] == fits else own)
    latent = latents.zeros(*working.shape[1:3])
    if around is not None:
        latent = around(vae.encode(working[..., :3]))
    if guidance is not None:
        guidance = replace(guidance, mask=on_canvas(guidance.mask, image, latents))
    if fusion is not None:
        fusion = replace(
            fusion, mask=on_canvas(fusion.mask, image, latents),
            previous=previous_latent(fusion.previous, vae, image, latents),
        )  # fmt: skip
    seed, steps = stage_seed(sampling.seed, sampling.stage), len(sigmas) - 1
    one = torch.ones_like(sigmas[0])
    if around is not None and noising(model)(one, sigmas[0], 0 * one) == 0:
        handling.note(
            "This model's highest noise level leaves nothing of a picture: the stage begins in pure noise; to begin "
            'with the picture choose the start "noised picture" and a start_strength below 1.'
        )
    preview = latent_preview.prepare_callback(model, steps * handling.pictures)
    before = handling.picture * steps  # one bar for the pictures of a batch
    teller = Teller(steps, 0 if guidance is None else guidance.settings.updates)

    def stepped(step: int, denoised: Tensor, x: Tensor, _: int) -> None:
        preview(before + step, denoised, x, steps * handling.pictures)
        teller.step_done(step)

    def sample(guidance: Guidance | None) -> tuple[Tensor, Trajectory]:
        record: list[Trajectory] = []
        stage = stage_sampler(
            solver_named(sampling.sampler, is_flow(model)), guidance, fusion, sampling.seed, record.append,
            handling.checkpointing, working_size=size, cell=latents.cell, note=handling.note, watch=teller.update,
            **loop,
        )  # fmt: skip
        samples = comfy.sample.sample_custom(
            model if guidance is None else with_gradients(model),
            comfy.sample.prepare_noise(latent, seed), sampling.cfg, stage, sigmas, positive, negative, latent,
            callback=stepped, seed=seed,
        )  # fmt: skip
        return samples, record[0]

    try:
        try:
            samples, trajectory = sample(guidance)
        except GradientError as error:
            if not handling.go_on:
                raise
            handling.note(f"{str(error).split(';')[0]}: this stage ran without guidance.")
            samples, trajectory = sample(None)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        comfy.model_management.unload_all_models()  # as ComfyUI does where it sees the error itself
        raise SedicError(out_of_memory(guidance is not None, handling, size)) from error
    kept = Trajectory(trajectory.sigmas.cpu(), tuple(latent.cpu() for latent in trajectory.latents))
    restored = vae.decode(samples)
    restored = restored.reshape(-1, *restored.shape[-3:])[:, :height, :width]  # a video's VAE gives frames
    if colors is not None:
        fixed = fix_colors(restored.movedim(-1, 1), colors[..., :3].movedim(-1, 1), detail)
        restored = fixed.movedim(1, -1).clamp(0, 1)
    return samples, kept, restored


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device's memory, or the machine's, is full."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def out_of_memory(guided: bool, handling: Handling, size: int) -> str:
    """What to do when memory is full."""
    help = ["turn checkpointing on"] if guided and not handling.checkpointing else []
    help += ['read the "middle block" alone in Attention Guidance'] if guided else []
    help.append(f"lower working_size (it is {size} here)" if size > 256 else "use a smaller model")
    return f"Memory is full in a{' guided' if guided else ''} stage; {', or '.join(help)}."


class OnceEncoded:
    """A VAE that encodes the same picture once: a stage needs it as its start, as what stands before, and as hint."""

    def __init__(self, vae: Any):
        self._vae, self._seen = vae, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)

    def encode(self, pixels: Tensor) -> Tensor:
        """ComfyUI's latent of pixels (B, H, W, 3)."""
        for known, latent in self._seen:
            if known.shape == pixels.shape and torch.equal(known, pixels.to(known)):
                return latent.clone()
        latent = self._vae.encode(pixels)
        self._seen.append((pixels, latent))
        return latent.clone()


def noise_levels(model: Any, sampling: Sampling) -> Tensor:
    """ComfyUI's own noise levels for a sampler, which for some of them leave one out."""
    choices = {"sampler": sampling.sampler, "scheduler": sampling.scheduler, "denoise": sampling.denoise}
    choices["model_options"] = model.model_options
    return comfy.samplers.KSampler(model, sampling.steps, model.load_device, **choices).sigmas


def pass_through(model: Any, vae: Any, image: Tensor, fusion: Fusion | None) -> tuple[Any, Any, Tensor]:
    """What a stage without an object returns: the stage before, unchanged."""
    if fusion is not None and isinstance(fusion.previous, Trajectory):
        latent = model.get_model_object("latent_format").process_out(fusion.previous.latents[-1])
        return {"samples": latent}, fusion.previous, image
    latent = previous_latent(None if fusion is None else fusion.previous, vae, image, latents_of(model, vae))
    return {"samples": latent}, {"samples": latent}, image


def previous_latent(previous: Any, vae: Any, image: Tensor, latents: Latents) -> Any:
    """What stands before a stage: a trajectory as it is, a LATENT's tensor, an IMAGE encoded as the stage would.

    None, as behind a bypassed stage, is ``image``, the picture restored so far.
    """
    previous = image if previous is None else previous
    if isinstance(previous, Tensor):
        return vae.encode(padded(previous, latents)[..., :3])
    return latents.shaped(previous["samples"]) if isinstance(previous, dict) else previous


def with_control(conditionings: list[Any], control_net: Any, hint: Tensor, strength: float, vae: Any) -> list[Any]:
    """Conditionings with a ControlNet on ``hint``, chained before one that is already there, as ComfyUI's own node.

    All share one copy of it: only then does ComfyUI run the positive and the negative half as one batch.
    """
    copies: dict[Any, Any] = {}
    results = []
    for conditioning in conditionings:
        result = []
        for tensor, options in conditioning:
            before = options.get("control")
            if before not in copies:
                copies[before] = control_net.copy().set_cond_hint(hint.movedim(-1, 1), strength, (0.0, 1.0), vae=vae)
                copies[before].set_previous_controlnet(before)
            result.append([tensor, options | {"control": copies[before], "control_apply_to_uncond": False}])
        results.append(result)
    return results


def padded(image: Tensor, latents: Latents) -> Tensor:
    """An IMAGE, (B, H, W, C), with its edge repeated to multiples of the latents' unit."""
    return pad_to_multiple(image.movedim(-1, 1), latents.unit).movedim(1, -1)


def on_canvas(mask: Tensor, image: Tensor, latents: Latents) -> Tensor:
    """A mask, (h, w), brought to the image's size and padded as the image is."""
    size = image.shape[1:3]
    if mask.shape != size:
        mask = F.interpolate(mask[None, None].float(), size=tuple(size), mode="nearest-exact")[0, 0]
    return F.pad(mask, (0, -size[1] % latents.unit, 0, -size[0] % latents.unit)).clone()
