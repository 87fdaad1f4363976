"""The embedded models: their shapes, in diffusers' and transformers' own classes, and their weights.

Small relatives of Stable Diffusion that run the whole decoder on a CPU: an autoencoder in TAESD's shape, a UNet and
its ControlNet in SD 1.x's shape, a CLIP text encoder. The ControlNet takes the condition's latent. The network
predicts v (Salimans & Ho 2022) on Stable Diffusion's noise schedule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import SedicError

WEIGHTS = Path(__file__).with_name("weights")
PREDICTION = "v_prediction"
LATENT_CHANNELS = 16

AUTOENCODER: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "encoder_block_out_channels": (64, 64, 64, 64),
    "decoder_block_out_channels": (64, 64, 64, 64),
    "num_encoder_blocks": (1, 3, 3, 3),
    "num_decoder_blocks": (3, 3, 3, 1),
    "latent_channels": LATENT_CHANNELS,
    "scaling_factor": 1.0,
}
# No attention at the finest level: it costs most there and a restorer needs it least.
_SHARED: dict[str, Any] = {
    "in_channels": LATENT_CHANNELS,
    "block_out_channels": (64, 128, 192),
    "layers_per_block": 1,
    "cross_attention_dim": 192,
    "attention_head_dim": 4,  # diffusers' name for the number of heads
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
}
UNET: dict[str, Any] = _SHARED | {
    "sample_size": 32,
    "out_channels": LATENT_CHANNELS,
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
}
CONTROLNET: dict[str, Any] = _SHARED | {
    "conditioning_channels": LATENT_CHANNELS,
    "conditioning_embedding_out_channels": (64,),
}
TEXT_ENCODER: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 192,
    "intermediate_size": 768,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "projection_dim": 192,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
}


class ModelError(SedicError):
    """A model's files are missing or not what they should be."""


def new_autoencoder() -> Any:
    """TAESD's shape with 16 latent channels: (B, 3, H, W) in [-1, 1] <-> (B, 16, H/8, W/8)."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(**AUTOENCODER)


def new_unet() -> Any:
    """UNet2DConditionModel over (B, 16, h, w); h and w multiples of 4."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(**UNET)


def new_controlnet() -> Any:
    """ControlNetModel whose condition is a latent, (B, 16, h, w)."""
    from diffusers import ControlNetModel

    return ControlNetModel(**CONTROLNET)


def new_text_encoder() -> Any:
    """CLIPTextModel: (B, 77) tokens to (B, 77, 192)."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**TEXT_ENCODER))


def tokenizer() -> Any:
    """CLIP's own tokenizer, from the vocabulary beside the weights."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(str(WEIGHTS / "tokenizer"), local_files_only=True)


PARTS = {
    "autoencoder": new_autoencoder,
    "unet": new_unet,
    "controlnet": new_controlnet,
    "text_encoder": new_text_encoder,
}


def save(part: str, model: nn.Module, folder: Path = WEIGHTS, trained_tokens: Tensor | None = None) -> None:
    """Writes a part's weights in half precision.

    Args:
        part: a key of :data:`PARTS`.
        model: its module.
        folder: receives ``<part>.safetensors``.
        trained_tokens: (49408,) bool; of the token embedding only these rows are written. None: all.
    """
    state = {name: value.half().contiguous() for name, value in _tensors(model).items()}
    if part == "text_encoder":
        table = state.pop("embeddings.token_embedding.weight")
        rows = trained_tokens.nonzero().flatten() if trained_tokens is not None else torch.arange(len(table))
        state |= {"token_embedding.rows": rows.to(torch.int32), "token_embedding.values": table[rows]}
    save_file(state, folder / f"{part}.safetensors")


def read_state(part: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """A part's weights in float32, under diffusers' and transformers' names.

    Raises:
        ModelError: the file is missing or unreadable.
    """
    path = folder / f"{part}.safetensors"
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing; install the pack again, or name a folder that has it.") from error
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read ({error}); fetch it again.") from error
    if part == "text_encoder" and "token_embedding.rows" in state:
        rows, values = state.pop("token_embedding.rows").long(), state.pop("token_embedding.values").float()
        # A word that training never saw gets the mean word.
        table = values.mean(0).repeat(TEXT_ENCODER["vocab_size"], 1)
        table[rows] = values
        state["embeddings.token_embedding.weight"] = table
    return {name: value.float() for name, value in state.items()}


def load(part: str, folder: Path = WEIGHTS) -> Any:
    """A part as a module, float32, ready for inference.

    Raises:
        ModelError: missing or unreadable file, or keys that are not this part's.
    """
    model = PARTS[part]()
    state = read_state(part, folder)
    own = {name.removeprefix("text_model."): name for name in model.state_dict()}
    try:
        model.load_state_dict(
            {own.get(name, name): value for name, value in state.items()}
            | {name: value for name, value in model.state_dict().items() if name.endswith("position_ids")}
        )
    except RuntimeError as error:
        raise ModelError(f"{folder / part}.safetensors does not fit the embedded {part}: {error}") from error
    return model.eval().requires_grad_(False)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Weights by name; transformers 5 dropped CLIP's ``text_model.`` prefix, and so do our files."""
    return {
        name.removeprefix("text_model."): value
        for name, value in model.state_dict().items()
        if not name.endswith("position_ids")
    }
