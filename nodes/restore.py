"""The decoder's sampling nodes: Algorithm 1's stages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import comfy.samplers
import torch
from comfy_api.latest import io
from torch import Tensor

from ..sedic.errors import SedicError
from ..sedic.restoration.fusion import Fusion
from ..sedic.restoration.guidance import Guidance
from ..sedic.restoration.settings import CONDITIONS, STARTS, Settings
from ..sedic.restoration.solvers import SOLVERS, solver_named
from ..sedic.restoration.stages import FINAL_STAGE
from ..sedic.restoration.starts import low_frequencies
from .colors import color_fix_input, colors_of, detail_input
from .comfy_denoiser import is_flow, native_size, stage_sampler, with_gradients
from .images import kept_for_window
from .latents import of_picture, over_canvas
from .pictures import Part, together
from .said import joined, says
from .schema import advanced, schema
from .sockets import FusionSocket, GuidanceSocket, TrajectorySocket
from .stage import Handling, Sampling, pass_through, run_stage

DEFAULTS = Settings()
UNGUIDABLE = ("stop", "go on")
AROUND = {"noise": None, "low frequencies": low_frequencies, "noised picture": lambda latent: latent}


def sampling_inputs(steps: int, cfg: float) -> list[Any]:
    """The widgets of :class:`Sampling`, in the order in which both nodes have them."""
    return [
        io.Int.Input("seed", default=0, min=0, max=2**31, control_after_generate=False,
                     tooltip="The file's seed. Together with the stage's number it decides the noise."),
        io.Int.Input("steps", default=steps, min=1, max=1000, tooltip="How many steps are sampled; more take longer."),
        io.Float.Input("cfg", default=cfg, min=1.0, max=30.0, step=0.1, tooltip="How closely the words are followed "
                                                                                "(classifier-free guidance scale)."),
        io.Combo.Input("sampler", options=list(SOLVERS), default=DEFAULTS.sampler,
                       tooltip="The sampler. Guidance works between its steps, so only samplers are offered whose "
                               "steps can be taken one at a time."),
        io.Combo.Input("scheduler", options=comfy.samplers.SCHEDULER_NAMES, default=DEFAULTS.scheduler,
                       tooltip="How the noise levels are spaced. Choose the same in all object stages: only equal "
                               "levels can be fused."),
        io.Float.Input("strength", default=1.0, min=0.0, max=10.0, step=0.01, tooltip="How much control_net counts."),
    ]  # fmt: skip


def model_inputs() -> list[Any]:
    """The sockets that both sampling nodes share."""
    return [
        io.Model.Input(
            "model",
            tooltip="Any picture model: Stable Diffusion 1.x to 3.5, XL, Flux, Qwen-Image, Z-Image, or the "
            "embedded one; with LoRAs. Others are restored without guidance.",
        ),
        io.Conditioning.Input("positive", tooltip="This stage's text, encoded."),
        io.Conditioning.Input("negative", tooltip="The negative text, encoded."),
        io.Vae.Input("vae", tooltip="The model's autoencoder."),
        io.Image.Input("image", tooltip="The picture restored so far; at first, the reference."),
    ]


def working_size_input() -> Any:
    """The widget of the largest side that the network sees at once."""
    return advanced(io.Int.Input("working_size", default=0, min=0, max=8192, step=64, optional=True,
                        tooltip="Pixels a side that the model sees at once; larger pictures are restored in tiles that "
                        "overlap. 0: the size the model was made for."))  # fmt: skip


def steering_inputs() -> list[Any]:
    """Guidance, fusion, and what both cost: what an object's stage has beside a plain sampler, in this order."""
    return [
        GuidanceSocket.Input("guidance", optional=True, tooltip="From Attention Guidance: holds the object inside its "
                                                                "mask (Eq. 3). Unplugged: no guidance."),
        FusionSocket.Input("fusion", optional=True, tooltip="From Latent Mask Fuse: keeps what is outside the mask "
                                                            "(Eq. 4). Unplugged: no fusion."),
        working_size_input(),
        advanced(io.Boolean.Input("checkpointing", default=False, optional=True,
                                  tooltip="Saves memory of guided updates, in transformers most of it, for a third "
                                          "more time.")),
    ]  # fmt: skip


def shown(handling: Handling) -> Any:
    """What a node shows of a stage's notes; None if there are none."""
    return says("\n".join(handling.notes)) if handling.notes else None


class ORAGSampler(io.ComfyNode):
    """One object's restoration."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_ORAGSampler",
            search_aliases=("restore object", "decompress", "sampler"),
            says=True,
            display_name="ORAG Sampler (SEDIC)",
            category="SEDIC/decode",
            description="Restores one object from its words, inside its mask (Algorithm 1, lines 2 to 12). With "
                        "guidance and fusion unplugged it is ComfyUI's own sampler, bit for bit.",
            inputs=[
                *model_inputs(),
                *sampling_inputs(DEFAULTS.object_steps, DEFAULTS.object_scale),
                io.Int.Input("stage", default=1, min=0, max=254,
                             tooltip="The object's number (j): 1 in the first stage, 2 in the second. It gives each "
                                     "stage noise of its own."),
                io.ControlNet.Input("control_net", optional=True,
                                    tooltip="A ControlNet, which is shown the picture restored so far. Unplugged: "
                                            "positive and negative are used as they are."),
                *steering_inputs(),
                advanced(io.Combo.Input("if_unguidable", options=list(UNGUIDABLE), default=UNGUIDABLE[0], optional=True,
                               tooltip="What to do where guidance cannot work: the model has no gradient (quantised "
                                       "arithmetic, foreign compilers), or its attention is not known. stop: an "
                                       "error that says why. go on: restore without guidance, and say so.")),
                io.Image.Input("reference", optional=True, tooltip="Needed for color_fix only."),
                color_fix_input(),
                detail_input(),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="The restored latent."),
                TrajectorySocket.Output(display_name="trajectory", tooltip="Its latents at every noise level, for "
                                                                           "the next Latent Mask Fuse."),
                io.Image.Output(display_name="image", tooltip="The picture with this object restored."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: Any, positive: Any, negative: Any, vae: Any, image: Tensor, seed: int, steps: int,
                cfg: float, sampler: str, scheduler: str, strength: float, stage: int, control_net: Any = None,
                guidance: Guidance | None = None, fusion: Fusion | None = None, working_size: int = 0,
                checkpointing: bool = False, if_unguidable: str = UNGUIDABLE[0], reference: Tensor | None = None,
                color_fix: bool = DEFAULTS.color_fix, detail: float = DEFAULTS.detail) -> io.NodeOutput:  # fmt: skip
        sampling = Sampling(seed, stage, steps, cfg, sampler, scheduler, strength)
        handling = Handling(working_size, checkpointing, if_unguidable == "go on", pictures=len(image))
        colors = colors_of(reference, color_fix, image)

        def restored(part: Part) -> tuple[Any, Any, Tensor]:
            own, guided, fused = part.of(image, "pictures"), part.steering(guidance), part.steering(fusion)
            fused = over_canvas(fused, own, vae)
            if any(one is not None and not one.mask.any() for one in (guided, fused)):
                latent, before, picture = pass_through(model, vae, own, fused)
                return {"samples": of_picture(latent["samples"], own, vae)}, before, picture
            latent, trajectory, picture = run_stage(
                part.model(model), part.conditioning(positive), part.conditioning(negative), vae, own, sampling, own,
                control_net, guided, fused, handling=replace(handling, picture=part.index),
                colors=part.reference(colors), detail=detail,
            )  # fmt: skip
            return {"samples": of_picture(latent, own, vae)}, trajectory, picture

        parts = [restored(Part(index, len(image), handling.note)) for index in range(len(image))]
        return io.NodeOutput(*together(parts, model, seed), ui=shown(handling))


class GlobalRestore(io.ComfyNode):
    """The last stage, over the whole picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_GlobalRestore",
            search_aliases=("restore", "decompress", "sampler", "compare", "before after"),
            says=True,
            display_name="Global Restore (SEDIC)",
            category="SEDIC/decode",
            description="The last stage: restores the whole picture with the overall text (Algorithm 1, lines 13 to "
                        "19).",
            inputs=[
                *model_inputs(),
                *sampling_inputs(DEFAULTS.overall_steps, DEFAULTS.overall_scale),
                io.Combo.Input("condition", options=list(CONDITIONS), default=DEFAULTS.condition,
                               tooltip="What the ControlNet is shown. progressive: the picture restored so far, as "
                                       "in the paper. reference: the reference, as in the authors' released code."),
                io.Combo.Input("start", options=list(STARTS), default=DEFAULTS.start,
                               tooltip="What the stage starts from. noise: noise alone, as in the paper. low "
                                       "frequencies: noise around the coarse part of the picture restored so far, as "
                                       "in the authors' released code. noised picture: that picture itself, with "
                                       "noise."),
                io.ControlNet.Input("control_net", optional=True,
                                    tooltip="A ControlNet, which is shown the condition. Unplugged: positive and "
                                            "negative are used as they are."),
                io.Image.Input("reference", optional=True, tooltip="The reference's picture; needed for the "
                                                                   "condition reference and for color_fix."),
                io.Float.Input("start_strength", default=DEFAULTS.strength, min=0.05, max=1.0, step=0.05, optional=True,
                               tooltip="For the start noised picture: how much noise is added; at 1 nothing of the "
                                       "picture is left."),
                working_size_input(),
                color_fix_input(),
                detail_input(),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The restored picture, of the image's size."),
                io.Latent.Output(display_name="latent", tooltip="Its latent."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: Any, positive: Any, negative: Any, vae: Any, image: Tensor, seed: int, steps: int,
                cfg: float, sampler: str, scheduler: str, strength: float, condition: str, start: str,
                control_net: Any = None, reference: Tensor | None = None, start_strength: float = DEFAULTS.strength,
                working_size: int = 0, color_fix: bool = DEFAULTS.color_fix,
                detail: float = DEFAULTS.detail) -> io.NodeOutput:  # fmt: skip
        hint = image if condition == "progressive" else reference
        if hint is None:
            raise SedicError('The condition "reference" needs the reference; plug it in or choose "progressive".')
        noised = start == "noised picture"
        sampling = Sampling(
            seed, FINAL_STAGE, steps, cfg, sampler, scheduler, strength, start_strength if noised else 1.0
        )
        handling, colors = Handling(working_size, pictures=len(image)), colors_of(reference, color_fix, image)
        latents, pictures = [], []
        for part in (Part(index, len(image), handling.note) for index in range(len(image))):
            latent, _, picture = run_stage(
                part.model(model), part.conditioning(positive), part.conditioning(negative), vae,
                part.of(image, "pictures"), sampling, part.of(hint, "references"), control_net, around=AROUND[start],
                handling=replace(handling, picture=part.index), colors=part.reference(colors), detail=detail,
                keep=False,
            )  # fmt: skip
            latents.append(of_picture(latent, image, vae))
            pictures.append(picture)
        restored = torch.cat(pictures)
        before = ("restored so far", image) if reference is None else ("reference", reference)
        said = []
        for part in (Part(index, len(image), handling.note) for index in range(len(image))):
            pair = before, ("restored", restored)
            compared = [kept_for_window(part.of(pictures, "pictures"), name) for name, pictures in pair]
            said.append(says("\n".join(handling.notes), compare=compared))
        return io.NodeOutput(restored, {"samples": torch.cat(latents)}, ui=joined(said))


class ORAGSamplerSelect(io.ComfyNode):
    """The step loop for ComfyUI's custom sampling."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_ORAGSamplerSelect",
            search_aliases=("custom sampler",),
            display_name="ORAG Sampler Select (SEDIC)",
            category="SEDIC/decode",
            description="ORAG Sampler's loop over the steps, as a SAMPLER for SamplerCustomAdvanced. For guidance, "
                        "the MODEL goes through this node, too.",
            inputs=[
                io.Model.Input("model", tooltip="The model, which is prepared for guidance here; wire the output on "
                                                "to the guider."),
                io.Combo.Input("sampler", options=list(SOLVERS), default=DEFAULTS.sampler, tooltip="The sampler, as "
                                                                                                   "on ORAG Sampler."),
                *steering_inputs(),
            ],
            outputs=[
                io.Sampler.Output(display_name="sampler", tooltip="For SamplerCustomAdvanced."),
                io.Model.Output(display_name="model", tooltip="For the guider."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: Any, sampler: str, guidance: Guidance | None = None,
                fusion: Fusion | None = None, working_size: int = 0,
                checkpointing: bool = False) -> io.NodeOutput:  # fmt: skip
        if guidance is not None and not guidance.mask.any():
            guidance = None
        if fusion is not None and (fusion.previous is None or isinstance(fusion.previous, Tensor)):
            raise SedicError("There is no VAE here for a picture; wire a LATENT to Latent Mask Fuse's previous.")
        loop = {"working_size": working_size or native_size(model), "keep": False}
        stage = stage_sampler(solver_named(sampler, is_flow(model)), guidance, fusion, checkpoint=checkpointing, **loop)
        return io.NodeOutput(stage, model if guidance is None else with_gradients(model))


NODES = [ORAGSampler, GlobalRestore, ORAGSamplerSelect]
