"""Families of models with the settings that suit them: what tells one ready graph from another."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sedic.codec import EMBEDDED_GUIDANCE, EMBEDDED_SETTINGS
from sedic.models import catalogue
from sedic.models.catalogue import ModelFile
from sedic.restoration.settings import GuidanceSettings, Settings, few_steps

from .forms import Graph, Link


@dataclass(frozen=True)
class Family:
    """Models that a graph loads, and how it restores with them.

    Attributes:
        name: for titles and texts.
        advice: for the graph's note: what was chosen, and why.
        settings: steps, scales, sampler, scheduler, working size, guidance.
        checkpoint, control_net: their files; none for the embedded models.
        control_loader: the node that loads the ControlNet, and its widget.
    """

    name: str
    advice: str
    settings: Settings
    checkpoint: ModelFile | None = None
    control_net: ModelFile | None = None
    control_loader: tuple[str, str] = ("ControlNetLoader", "control_net_name")

    def load(self, graph: Graph, column: int, group: str) -> dict[str, Link]:
        """Adds the loading nodes; MODEL, CLIP, VAE and CONTROL_NET by these names."""
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
