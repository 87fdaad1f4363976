"""The embedded models: their shapes, in diffusers' and transformers' words, and their weights.

Small relatives of Stable Diffusion that run the whole decoder on a CPU: an autoencoder (:mod:`.autoencoder`), a UNet
and its ControlNet in SD 1.x's shape, a CLIP text encoder. The ControlNet takes the condition's latent. The network
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
from .autoencoder import Autoencoder
from .clip import TextEncoder, Tokenizer
from .unet import ControlNet, UNet

WEIGHTS = Path(__file__).with_name("weights")
PREDICTION = "v_prediction"
LATENT_CHANNELS = 20

AUTOENCODER: dict[str, int] = {
    "latent_channels": LATENT_CHANNELS,
    "encoder_width": 160,
    "encoder_depth": 3,
    "width": 192,
    "depth": 4,
    "fine_width": 96,
    "fine_depth": 3,
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


def new_autoencoder() -> Autoencoder:
    """(B, 3, H, W) in [-1, 1] <-> (B, 20, H/8, W/8)."""
    return Autoencoder(**AUTOENCODER)


def new_unet() -> UNet:
    """v of (B, 20, h, w)."""
    return UNet(**UNET)


def new_controlnet() -> ControlNet:
    """Its condition is a latent, (B, 20, h, w)."""
    return ControlNet(**CONTROLNET)


def new_text_encoder() -> TextEncoder:
    """(B, 77) tokens to (B, 77, 192)."""
    return TextEncoder(**TEXT_ENCODER)


def tokenizer() -> Tokenizer:
    """CLIP's own, from the vocabulary beside the weights."""
    return Tokenizer(WEIGHTS / "tokenizer")


PARTS = {
    "autoencoder": new_autoencoder,
    "unet": new_unet,
    "controlnet": new_controlnet,
    "text_encoder": new_text_encoder,
}


def save(part: str, model: nn.Module, folder: Path = WEIGHTS, trained_tokens: Tensor | None = None) -> None:
    """Writes a part's matrices in 8 bits with a scale for each output channel, everything else in half precision.

    Args:
        part: a key of :data:`PARTS`.
        model: its module.
        folder: receives ``<part>.safetensors``.
        trained_tokens: (49408,) bool; of the token embedding only these rows are written. None: all.
    """
    state = model.state_dict()
    if part == "text_encoder":
        table = state.pop("embeddings.token_embedding.weight")
        rows = trained_tokens.nonzero().flatten() if trained_tokens is not None else torch.arange(len(table))
        state |= {"token_embedding.rows": rows.to(torch.int32), "token_embedding.values": table[rows]}
    stored: dict[str, Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point():
            stored[name] = value
        elif value.ndim < 2:
            stored[name] = value.half().contiguous()
        else:
            stored[name], stored[name + _SCALE] = _to_bytes(value)
    save_file(stored, folder / f"{part}.safetensors")


_SCALE = ".scale"


def _to_bytes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """``weight``, (rows, …), as int8 and the step of each row, (rows,) float32."""
    steps = weight.float().flatten(1).abs().amax(1).clamp(min=1e-8) / 127
    return (weight.float() / steps.reshape(-1, *[1] * (weight.ndim - 1))).round().to(torch.int8).contiguous(), steps


def _from_bytes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undoes :func:`_to_bytes` for all weights of a file."""
    steps = {name.removesuffix(_SCALE): state[name] for name in state if name.endswith(_SCALE)}
    return {
        name: value.float().mul_(steps[name].reshape(-1, *[1] * (value.ndim - 1))) if name in steps else value
        for name, value in state.items()
        if not name.endswith(_SCALE)
    }


def read_state(part: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """A part's weights in float32, under diffusers' and transformers' names.

    Raises:
        ModelError: the file is missing or unreadable.
    """
    path = folder / f"{part}.safetensors"
    try:
        state = _from_bytes(load_file(path))
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
    with torch.device("meta"):  # random weights would be drawn for nothing
        model: nn.Module = PARTS[part]()
    try:
        model.load_state_dict(read_state(part, folder), assign=True)
    except RuntimeError as error:
        raise ModelError(f"{folder / part}.safetensors does not fit the embedded {part}: {error}") from error
    return model.eval().requires_grad_(False)
