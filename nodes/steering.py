"""What a stage is steered by: an object's words and mask, guidance and fusion."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..sedic.errors import SedicError
from ..sedic.restoration.denoiser import ATTENTION_LAYERS, CONTROL_LAYERS
from ..sedic.restoration.fusion import Fusion
from ..sedic.restoration.guidance import Guidance, GuidanceSettings
from ..sedic.restoration.settings import OWN_LAYERS, REDUCTIONS, THIRDS
from ..sedic.restoration.words import ORDERS, TOKENS, guided_tokens, in_order
from .comfy_denoiser import PromptGuidance, encode_prompt, token_positions
from .images import shades, to_mask
from .order import check_alike
from .schema import advanced, schema
from .sockets import FusionSocket, GuidanceSocket, SemanticsSocket, TrajectorySocket

MISSING = Guidance(torch.zeros(1, 1), ())  # of an object that is not there


class SemanticObject(io.ComfyNode):
    """Picks one object's words and mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_SemanticObject",
            search_aliases=("mask", "pick object"),
            display_name="Semantic Object (SEDIC)",
            category="SEDIC/decode",
            description="Picks one object of a file: its words, its name and its mask. Where the file has no such "
                        "object the mask is empty, and the stage behind hands the picture on unchanged.",
            inputs=[
                SemanticsSocket.Input("semantics", tooltip="From Unpack Bitstream or Grounded SAM."),
                io.Int.Input("index", default=1, min=1, max=7, tooltip="Which object (j), counted from 1."),
                io.Combo.Input("order", options=list(ORDERS), default=ORDERS[0], optional=True,
                               tooltip="How objects are counted: in the file's order, or by the sizes of their "
                                       "masks. Choose the same in all Semantic Objects of a file."),
            ],
            outputs=[
                io.Mask.Output(display_name="mask", tooltip="Where the object is (M_j); all black without such an "
                                                            "object or its mask."),
                io.String.Output(display_name="prompt", tooltip="The object's words, the name among them (Text_d_j); "
                                                                "wire it to CLIP Text Encode."),
                io.String.Output(display_name="name", tooltip="The object's name (Text_n_j); wire it to Attention "
                                                              "Guidance."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )  # fmt: skip

    @classmethod
    def execute(cls, semantics: Any, index: int, order: str = ORDERS[0]) -> io.NodeOutput:
        if index > len(semantics.objects):
            return io.NodeOutput(torch.zeros(1, 8, 8), "", "")
        check_alike(
            semantics, index, order, getattr(cls.hidden, "prompt", None), getattr(cls.hidden, "unique_id", None)
        )
        _, scene_object = in_order(semantics.objects, order)[index - 1]
        mask = torch.zeros(1, 8, 8) if scene_object.mask is None else to_mask(scene_object.mask)
        return io.NodeOutput(mask, literal(scene_object.prompt), literal(scene_object.name))


def literal(text: str) -> str:
    """``text`` with parentheses escaped, which ComfyUI's prompts would read as weights."""
    return text.replace("(", r"\(").replace(")", r"\)")


class AttentionGuidance(io.ComfyNode):
    """Eq. 3 for one object."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        settings = GuidanceSettings()
        return schema(
            node_id="SEDIC_AttentionGuidance",
            search_aliases=("layout guidance", "regional prompt"),
            display_name="Attention Guidance (SEDIC)",
            category="SEDIC/decode",
            description="Makes the model paint the object's words inside its mask, by moving the latent between "
                        "steps (Eqs. 2 and 3).",
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder that made positive; by it the sampler finds the "
                                              "prompt in there."),
                io.String.Input("prompt", force_input=True, tooltip="The text that this stage's positive was made "
                                                                    "of, word for word."),
                io.String.Input("name", force_input=True, tooltip="The words in the prompt that are held inside the "
                                                                  "mask."),
                io.Mask.Input("mask", tooltip="Where the object is: white inside (M_j)."),
                io.Float.Input("eta", default=settings.eta, min=0.0, max=10000.0, step=1.0,
                               tooltip="How far an update pushes the object into its mask (step size η). The paper "
                                       "uses 40, and 30 to 50 work well; 0 turns guidance off."),
                io.Float.Input("t_prime", default=settings.t_prime, min=0.0, max=1.0, step=0.05,
                               tooltip="How long to guide: steps are guided while t/T is above this (T'). 0.8 is the "
                                       "first fifth of the steps; lower guides longer."),
                io.Int.Input("updates", default=settings.updates, min=1, max=50,
                             tooltip="How many updates a guided step gets at most; more take longer."),
                io.Float.Input("threshold", default=settings.threshold, min=0.0, max=1.0, step=0.01,
                               tooltip="A step needs no more updates once the energy E (0: all inside the mask) has "
                                       "fallen to this."),
                io.Combo.Input("layers", options=[*ATTENTION_LAYERS, OWN_LAYERS, *THIRDS], default=OWN_LAYERS,
                               tooltip="Where in the model attention is read. Leave it at the model's own; else a "
                                       "block of a UNet, or a third of the blocks in which a transformer (SD 3.5, "
                                       "Flux, Qwen-Image, Z-Image) sees text and picture together."),
                advanced(io.Boolean.Input("control_layers", default=False, optional=True,
                                 tooltip="Also reads the ControlNet's own cross-attention.")),
                advanced(io.Boolean.Input("through_control", default=settings.through_control, optional=True,
                                 tooltip="On: an update also reckons with what the ControlNet would answer (the "
                                         "gradient goes through it). Off: less time and memory.")),
                io.Combo.Input("tokens", options=list(TOKENS), default=TOKENS[0], optional=True,
                               tooltip="Which words are held inside the mask: the name, all content words of the "
                                       "prompt, or chosen words."),
                io.String.Input("words", default="", optional=True,
                                tooltip="For chosen words: words of the prompt, with commas between."),
                advanced(io.Combo.Input("energy", options=list(REDUCTIONS), default=settings.reduction, optional=True,
                               tooltip="How several words count together: by their mean, by the worst of them (max), "
                                       "or by their sum.")),
                advanced(io.Int.Input("block", default=-1, min=-1, max=999, optional=True,
                         tooltip="For transformers: reads this block alone, counted from 0, instead of layers. -1: "
                                 "as layers says.")),
            ],
            outputs=[GuidanceSocket.Output(display_name="guidance", tooltip="Wire it to ORAG Sampler.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, clip: Any, prompt: str, name: str, mask: Tensor, eta: float, t_prime: float, updates: int,
                threshold: float, layers: str, control_layers: bool = False, through_control: bool = True,
                tokens: str = TOKENS[0], words: str = "", energy: str = REDUCTIONS[0],
                block: int = -1) -> io.NodeOutput:  # fmt: skip
        place = shades(mask, "The mask of Attention Guidance")
        if not place.any():
            return io.NodeOutput(MISSING)
        chosen = [word.strip() for word in words.split(",") if word.strip()]
        for phrase in chosen if tokens == "chosen words" else [name]:
            if not token_positions(clip, prompt, phrase):
                raise SedicError(
                    f"The prompt does not contain {phrase!r}; wire prompt and name from one Semantic Object."
                )
        positions = guided_tokens(lambda phrase: token_positions(clip, prompt, phrase), prompt, name, tokens, chosen)
        layers = layers if block < 0 else f"block {block}"
        read = tuple(dict.fromkeys((layers, CONTROL_LAYERS) if control_layers else (layers,)))
        settings = GuidanceSettings(eta, t_prime, updates, threshold, read, through_control, energy)
        encoded = encode_prompt(clip, prompt, positions)
        return io.NodeOutput(PromptGuidance(place, positions, settings, encoded))


class LatentMaskFuse(io.ComfyNode):
    """Eq. 4 for one object."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_LatentMaskFuse",
            search_aliases=("inpaint", "blend", "latent composite"),
            display_name="Latent Mask Fuse (SEDIC)",
            category="SEDIC/decode",
            description="Keeps everything outside the mask as the stage before left it, at every step (Eq. 4).",
            inputs=[
                io.Mask.Input("mask", tooltip="White is restored by this stage, black is kept (M_j)."),
                io.MultiType.Input(
                    TrajectorySocket.Input("previous"),
                    types=[TrajectorySocket, io.Latent, io.Image],
                    optional=True,
                    tooltip="What is kept: the trajectory of the stage before. For the first object: the reference, "
                            "or its latent. Unplugged: the picture restored so far.",
                ),
                io.Int.Input("soft_edge", default=0, min=0, max=16, optional=True,
                             tooltip="How softly the object fades into the stage before at its edge, in latent cells "
                                     "of 8 pixels. 0: a hard edge."),
            ],
            outputs=[FusionSocket.Output(display_name="fusion", tooltip="Wire it to ORAG Sampler.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, mask: Tensor, previous: Any = None, soft_edge: int = 0) -> io.NodeOutput:
        return io.NodeOutput(Fusion(shades(mask, "The mask of Latent Mask Fuse"), previous, soft_edge))


NODES = [SemanticObject, AttentionGuidance, LatentMaskFuse]
