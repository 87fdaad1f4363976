"""LoRAs: files with small changes to a model's weights, which are added to the weights once.

Layers are named by whoever trained them: as diffusers names them or as the authors' checkpoints do, with dots or with
underscores. Every layer of the models is entered under all of its names, and a file's are looked up there.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SedicError

if TYPE_CHECKING:
    from torch import Tensor

    from .denoiser import DiffusersModels

PAIRS = (
    (".lora_down.weight", ".lora_up.weight"),
    (".lora_A.weight", ".lora_B.weight"),
    (".lora_A.default.weight", ".lora_B.default.weight"),
    (".lora.down.weight", ".lora.up.weight"),
    (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    ("_lora.down.weight", "_lora.up.weight"),
)
"""What stands behind a layer's name: of kohya's trainer and ComfyUI, of peft, and diffusers' earlier ways."""
UNET_PREFIXES = ("lora_unet_", "unet_", "diffusion_model_", "model_diffusion_model_", "base_model_model_", "")
TEXT_PREFIXES = (
    ("lora_te_", "lora_te1_", "text_encoder_", "text_encoders_clip_l_transformer_"),
    ("lora_te2_", "text_encoder_2_", "text_encoders_clip_g_transformer_"),
)
"""Of a layer's name, with underscores for dots; the text encoders' first and second."""
_RESIDUAL = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1",
             "conv_shortcut": "skip_connection"}  # fmt: skip
_ENDS = {"conv_in": "input_blocks.0.0", "conv_out": "out.2", "time_embedding.linear_1": "time_embed.0",
         "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
         "add_embedding.linear_2": "label_emb.0.2"}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One layer's: ``down`` (r, in, …) and ``up`` (out, r, …), whose product is added ``alpha`` / r times."""

    down: Tensor
    up: Tensor
    alpha: float


def check(path: Path, strength: float) -> None:
    """Told before the work.

    Raises:
        SedicError: no such file, or a strength that is no number.
    """
    if not path.is_file():
        raise SedicError(f"There is no LoRA {path}; name a file, or FILE:STRENGTH.")
    if not math.isfinite(strength):
        raise SedicError(f"The strength of the LoRA {path.name} is {strength}; give a number, say 1.")


def read(path: Path) -> dict[str, Change]:
    """A file's changes, by its names of the layers.

    Raises:
        SedicError: it cannot be read, holds none, or changes weights in another way.
    """
    from .checkpoints import read_state

    state = read_state(path)
    changes = {}
    for down, up in PAIRS:
        for key in state:
            name = key.removesuffix(down)
            if name == key or f"{name}{up}" not in state or f"{name}.lora_mid.weight" in state:
                continue
            alpha = state.get(f"{name}.alpha")
            changes[name] = Change(
                state[key], state[f"{name}{up}"], float(len(state[key]) if alpha is None else alpha.item())
            )
    others = [key for key in state if ".dora_scale" in key or ".hada_w" in key or ".lokr_w" in key or "lora_mid" in key]
    if others or not changes:
        raise SedicError(
            f"{path.name} is no LoRA of pairs of matrices, down and up"
            + (f" (it holds {others[0]}); load it in ComfyUI." if others else "; take another file.")
        )
    return changes


def add(models: DiffusersModels, path: Path, strength: float) -> None:
    """Adds a LoRA to the weights of ``models``, which are in float32; layers that they lack are told and left out.

    Raises:
        SedicError: no such file, or none that fits.
    """
    check(path, strength)
    changes, places = read(path), layers(models)
    absent = []
    for name, change in changes.items():
        layer = places.get(_plain(name))
        if layer is None:
            absent.append(name)
        else:
            _add(layer, change, strength, f"{path.name} changes {name}")
    if len(absent) == len(changes):
        raise SedicError(
            f"{path.name} changes no layer that these models have (its first is {absent[0]}); take a LoRA that was "
            "made for their family."
        )
    if absent:
        warnings.warn(
            f"{path.name}: {len(absent)} of {len(changes)} layers are not in these models and were left out (the first "
            f"is {absent[0]}).",
            stacklevel=2,
        )


def _add(layer: Any, change: Change, strength: float, what: str) -> None:
    weight, down, up = layer.weight.data, change.down.float().flatten(1), change.up.float().flatten(1)
    if (len(up), down.shape[1]) != (len(weight), weight[0].numel()) or len(down) != up.shape[1]:
        raise SedicError(
            f"{what} by {len(up)}×{down.shape[1]}, and these models have {len(weight)}×{weight[0].numel()} there; take "
            "a LoRA that was made for their family."
        )
    weight += (strength * change.alpha / len(down) * (up @ down)).reshape(weight.shape).to(weight)


def layers(models: DiffusersModels) -> dict[str, Any]:
    """The network's and the text encoders' matrices and convolutions, under every name that LoRAs have for them."""
    places: dict[str, Any] = {}
    depth = models.unet.config.layers_per_block
    for name, layer in _weighted(models.unet):
        names = {name, *checkpoint_names(name, depth)}
        names |= {name.replace(".to_out.0", ".to_out") for name in names}
        places |= {prefix + _plain(one): layer for prefix in UNET_PREFIXES for one in names}
    encoders = (models.text_encoder, models.text_encoder_2)
    for prefixes, encoder in zip(TEXT_PREFIXES, encoders, strict=True):
        for name, layer in _weighted(encoder):
            own = name.removeprefix("text_model.")  # transformers 5 dropped the prefix
            places |= {prefix + _plain(one): layer for prefix in prefixes for one in (own, f"text_model.{own}")}
    return places


def checkpoint_names(name: str, depth: int) -> Iterator[str]:
    """A layer of diffusers' UNet, with ``depth`` layers a block, as the authors' checkpoints name it."""
    if name in _ENDS:
        yield _ENDS[name]
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    if found:
        side, block, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        first = block * (depth + 1) + (1 if side == "down" else 0)
        place = f"{'input' if side == 'down' else 'output'}_blocks"
        if kind == "resnets":
            yield f"{place}.{first + layer}.0.{_RESIDUAL.get(rest, rest)}"
        elif kind == "attentions":
            yield f"{place}.{first + layer}.1.{rest}"
        elif kind == "downsamplers":
            yield f"{place}.{first + depth}.0.op"
        else:  # behind the block's last attention, if it has any
            yield from (f"{place}.{first + depth}.{number}.conv" for number in (1, 2))
    middle = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", name)
    if middle:
        rest = _RESIDUAL.get(middle[3], middle[3])
        yield f"middle_block.{1 if middle[1] == 'attentions' else 2 * int(middle[2])}.{rest}"


def _weighted(model: Any) -> Sequence[tuple[str, Any]]:
    from torch import nn

    if model is None:
        return ()
    return [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]


def _plain(name: str) -> str:
    return name.replace(".processor.", ".").replace(".", "_")
