"""Families of models with the settings that suit them: what tells one ready graph from another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sedic.codec import EMBEDDED_GUIDANCE, EMBEDDED_SETTINGS
from sedic.models import catalogue
from sedic.models.catalogue import ModelFile
from sedic.restoration.settings import GuidanceSettings, Settings, few_steps

from .forms import Graph, Link


@dataclass(frozen=True)
class Part:
    """A node that loads files, or changes what others have loaded.

    Attributes:
        kind, title: its class, and what a person calls it.
        gives: which of MODEL, CLIP, VAE, CONTROL_NET, MODEL_PATCH.
        files: widget to file; ``widgets``: widget to another value.
        takes: input to what parts before it give.
    """

    kind: str
    title: str
    gives: tuple[str, ...]
    files: tuple[tuple[str, ModelFile], ...] = ()
    widgets: tuple[tuple[str, Any], ...] = ()
    takes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Family:
    """Models that a graph loads, and how it restores with them.

    Attributes:
        name: for titles and texts.
        advice: for the graph's note: what was chosen, and why.
        settings: steps, scales, sampler, scheduler, working size, guidance.
        checkpoint, control_net: their files; none for the embedded models.
        control_loader: the node that loads the ControlNet, and its widget.
        parts: the nodes of models that come in several files, instead of these.
    """

    name: str
    advice: str
    settings: Settings
    checkpoint: ModelFile | None = None
    control_net: ModelFile | None = None
    control_loader: tuple[str, str] = ("ControlNetLoader", "control_net_name")
    parts: tuple[Part, ...] = ()

    def load(self, graph: Graph, column: int, group: str) -> dict[str, Link]:
        """Adds the loading nodes; MODEL, CLIP, VAE and CONTROL_NET, or MODEL_PATCH, by these names."""
        if self.parts:
            found: dict[str, Link] = {}
            for part in self.parts:
                node = graph.add(
                    part.kind, part.title, column=column, group=group,
                    models=tuple(file.properties() for _, file in part.files),
                    **{widget: file.name for widget, file in part.files}, **dict(part.widgets),
                    **{name: found[kind] for name, kind in part.takes},
                )  # fmt: skip
                found |= {name: node[name] for name in part.gives}
            return found
        if self.checkpoint is None or self.control_net is None:
            node = graph.add("SEDIC_EmbeddedModels", "Embedded Models", column=column, group=group)
            return {name: node[name] for name in ("MODEL", "CLIP", "VAE", "CONTROL_NET")}
        checkpoint = graph.add(
            "CheckpointLoaderSimple", "Checkpoint", column=column, group=group,
            models=(self.checkpoint.properties(),), ckpt_name=self.checkpoint.name,
        )  # fmt: skip
        kind, widget = self.control_loader
        control = graph.add(
            kind, "ControlNet", column=column, group=group, models=(self.control_net.properties(),),
            **{widget: self.control_net.name},
        )  # fmt: skip
        return {name: checkpoint[name] for name in ("MODEL", "CLIP", "VAE")} | {"CONTROL_NET": control["CONTROL_NET"]}


EMBEDDED = Family(
    "the embedded models",
    "The embedded models are small and run on a CPU; their steps, cfg, eta and working_size suit them alone. For "
    "models of yours take the graph *sedic_sd15*, *sedic_sd21_diffbir*, *sedic_sdxl* or *sedic_lightning*.",
    Settings(**EMBEDDED_SETTINGS, guidance=GuidanceSettings(**EMBEDDED_GUIDANCE)),  # type: ignore[arg-type]
)
SD15 = Family(
    "SD 1.5",
    "Any SD 1.5 checkpoint with the tile ControlNet. Steps 10 and 20, cfg 3.5 and 7, eta 40 and T′ 0.8 are the "
    "paper's; 512 pixels are seen at once, larger pictures in tiles. With the LoRA of LCM behind the checkpoint "
    "(*Load LoRA*, lcm-lora-sdv1-5): steps 4, cfg 1, sampler lcm and scheduler sgm_uniform in every stage; T′ 0 and "
    "updates 1.",
    Settings(working_size=512),
    catalogue.SD15,
    catalogue.SD15_TILE,
)
SD21_DIFFBIR = Family(
    "SD 2.1 and DiffBIR",
    "The paper's models: SD 2.1-base and DiffBIR's IRControlNet, which takes the picture as a latent. Steps 10 and "
    "20, cfg 3.5 and 7, eta 40 and T′ 0.8 are the paper's; 512 pixels are seen at once.",
    Settings(working_size=512),
    catalogue.SD21_BASE,
    catalogue.DIFFBIR,
    ("SEDIC_IRControlNetLoader", "control_net_name"),
)
SDXL = Family(
    "SDXL",
    "Any SDXL checkpoint with a tile ControlNet. The paper's settings at 1024 pixels. Where memory is short, turn "
    "checkpointing on inside *Restore object*.",
    Settings(working_size=1024),
    catalogue.SDXL,
    catalogue.SDXL_TILE,
)
LIGHTNING = Family(
    "SDXL-Lightning",
    "A distilled SDXL: four steps a stage at cfg 1, where the negative text has no say, and the sampler and scheduler "
    "that it was made with; for SDXL-Turbo take sampler lcm and working_size 512. T′ 0 and updates 1 guide every step, "
    "once: in few steps, what the last one undoes is lost.",
    replace(few_steps(Settings(working_size=1024)), sampler="euler"),
    catalogue.LIGHTNING,
    catalogue.SDXL_TILE,
)
SD35 = Family(
    "SD 3.5",
    "Stable Diffusion 3.5 large with its blur ControlNet; 1024 pixels are seen at once. Guidance reads the first third "
    "of its blocks. Nothing here was tuned on the true models.",
    Settings(overall_scale=4.5, scheduler="sgm_uniform", working_size=1024),
    parts=(
        Part("CheckpointLoaderSimple", "Checkpoint", ("MODEL", "VAE"), (("ckpt_name", catalogue.SD35),)),
        Part(
            "TripleCLIPLoader",
            "Text encoders",
            ("CLIP",),
            (("clip_name1", catalogue.CLIP_L), ("clip_name2", catalogue.CLIP_G), ("clip_name3", catalogue.T5_XXL)),
        ),
        Part("ControlNetLoader", "ControlNet", ("CONTROL_NET",), (("control_net_name", catalogue.SD35_BLUR),)),
    ),
)
FLUX = Family(
    "Flux.1 dev",
    "Flux.1 dev with an upscaling ControlNet, at cfg 1, where the negative text has no say; 1024 pixels are seen at "
    "once. Guidance reads the middle third of its double blocks. Nothing here was tuned on the true models.",
    Settings(object_scale=1.0, overall_scale=1.0, working_size=1024),
    parts=(
        Part("UNETLoader", "Network", ("MODEL",), (("unet_name", catalogue.FLUX),)),
        Part(
            "DualCLIPLoader",
            "Text encoders",
            ("CLIP",),
            (("clip_name1", catalogue.CLIP_L), ("clip_name2", catalogue.T5_XXL)),
            (("type", "flux"),),
        ),
        Part("VAELoader", "Autoencoder", ("VAE",), (("vae_name", catalogue.FLUX_VAE),)),
        Part("ControlNetLoader", "ControlNet", ("CONTROL_NET",), (("control_net_name", catalogue.FLUX_UPSCALER),)),
    ),
)
QWEN_IMAGE = Family(
    "Qwen-Image",
    "Qwen-Image with InstantX's union ControlNet; 1280 pixels are seen at once. Guidance reads the first third of its "
    "blocks. Nothing here was tuned on the true models.",
    Settings(object_scale=2.5, overall_scale=2.5, working_size=1280),
    parts=(
        Part("UNETLoader", "Network", ("MODEL",), (("unet_name", catalogue.QWEN_IMAGE),)),
        Part(
            "CLIPLoader",
            "Text encoder",
            ("CLIP",),
            (("clip_name", catalogue.QWEN_IMAGE_TEXT),),
            (("type", "qwen_image"),),
        ),
        Part("VAELoader", "Autoencoder", ("VAE",), (("vae_name", catalogue.QWEN_IMAGE_VAE),)),
        Part("ControlNetLoader", "ControlNet", ("CONTROL_NET",), (("control_net_name", catalogue.QWEN_IMAGE_UNION),)),
        Part("ModelSamplingAuraFlow", "Shift", ("MODEL",), widgets=(("shift", 3.1),), takes=(("model", "MODEL"),)),
    ),
)
Z_IMAGE = Family(
    "Z-Image-Turbo",
    "A distilled model: eight steps a stage at cfg 1, where the negative text has no say. The Fun control patch goes "
    "into the model, anew for each stage's picture; it needs ComfyUI 0.3.77 or newer. Guidance reads the first third "
    "of the layers. Nothing here was tuned on the true models.",
    replace(few_steps(Settings(working_size=1024), 8), sampler="euler", scheduler="simple"),
    parts=(
        Part("UNETLoader", "Network", ("MODEL",), (("unet_name", catalogue.Z_IMAGE),)),
        Part(
            "CLIPLoader", "Text encoder", ("CLIP",), (("clip_name", catalogue.Z_IMAGE_TEXT),), (("type", "lumina2"),)
        ),
        Part("VAELoader", "Autoencoder", ("VAE",), (("vae_name", catalogue.FLUX_VAE),)),
        Part("ModelPatchLoader", "Control patch", ("MODEL_PATCH",), (("name", catalogue.Z_IMAGE_FUN),)),
        Part("ModelSamplingAuraFlow", "Shift", ("MODEL",), widgets=(("shift", 3.0),), takes=(("model", "MODEL"),)),
    ),
)  # fmt: skip
