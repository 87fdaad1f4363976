"""Checkpoints of true names and shapes with random weights, where the true ones cannot be had.

    python -m headless.checkpoints DIR [--only sd15 sd21 sdxl]

fills DIR as ComfyUI's ``models`` folder (``checkpoints``, ``controlnet``). They restore nothing; they show that a
combination loads, what it costs and whether its gradients are right. Half precision, 15 GB altogether.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from . import layouts
from .layouts import SD15, SD21, SDXL, Layout, UNetShape

NAMES = ("sd15", "sd21", "sdxl")
CHECKPOINTS = {
    "sd15": "v1-5-pruned-emaonly.safetensors",
    "sd21": "v2-1_512-ema-pruned.safetensors",
    "sdxl": "sd_xl_base_1.0.safetensors",
}
CONTROL_NETS = {
    "sd15": ("control_v11f1e_sd15_tile.pth",),
    "sd21": ("v1_general.pth", "v2.pth"),
    "sdxl": ("controlnet-tile-sdxl-1.0.safetensors", "controlnet-union-sdxl-1.0-promax.safetensors"),
}


def checkpoint(name: str) -> Layout:
    """Names and shapes of a whole checkpoint: network, autoencoder and text encoders."""
    shape: UNetShape = {"sd15": SD15, "sd21": SD21, "sdxl": SDXL}[name]
    text = {
        "sd15": {"cond_stage_model.transformer": layouts.clip_l()},
        "sd21": {"cond_stage_model.model": layouts.open_clip(1024, 24)},
        "sdxl": {
            "conditioner.embedders.0.transformer": layouts.clip_l(),
            "conditioner.embedders.1.model": layouts.open_clip(1280, 32),
        },
    }[name]
    parts = {"model.diffusion_model": layouts.unet(shape), "first_stage_model": layouts.autoencoder(), **text}
    return {f"{prefix}.{key}": size for prefix, layout in parts.items() for key, size in layout.items()}


def control_net(file: str) -> Layout:
    """Names and shapes of the ControlNet that is published under this file's name."""
    if file == "control_v11f1e_sd15_tile.pth":
        return {f"control_model.{key}": shape for key, shape in layouts.control_net(SD15).items()}
    if file in CONTROL_NETS["sd21"]:
        return layouts.control_net(SD21, hint=False)
    return _diffusers_control_net(union="union" in file)


def _diffusers_control_net(union: bool) -> Layout:
    """SDXL's ControlNets are published in diffusers' layout; diffusers' own class tells it."""
    import diffusers

    options = {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
        "use_linear_projection": True,
    }
    if union:
        # As published, unlike the class's defaults; the first union model had six kinds and no tile, ProMax has eight.
        options |= {"conditioning_embedding_out_channels": (16, 32, 96, 256), "num_control_type": 8}
    kind = diffusers.ControlNetUnionModel if union else diffusers.ControlNetModel
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in kind(**options).state_dict().items()}


def random_weights(layout: Layout, seed: int, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """Weights that keep a network's activations in range: norms of 1, the rest normal with deviation 1/√fan-in."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in layout.items():
        if len(shape) == 1 or not shape:
            state[name] = torch.full(shape, float(name.endswith("weight")), dtype=dtype)
            continue
        deviation = 0.02 if "embedding" in name else math.prod(shape[1:]) ** -0.5
        state[name] = torch.empty(shape).normal_(0, deviation, generator=generator).to(dtype)
    return state


def files(name: str) -> Iterator[tuple[str, Layout]]:
    """(path below ``models``, layout) of a combination's files."""
    yield f"checkpoints/{CHECKPOINTS[name]}", checkpoint(name)
    for file in CONTROL_NETS[name]:
        yield f"controlnet/{file}", control_net(file)


def write(folder: Path, name: str) -> list[Path]:
    """Writes the files of one of :data:`NAMES` that are not there yet; returns all of their paths."""
    paths = []
    for seed, (place, layout) in enumerate(files(name)):
        path = folder / place
        paths.append(path)
        if path.is_file():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".part")  # an interrupted run leaves no file that looks whole
        state = random_weights(layout, seed)
        if path.suffix == ".safetensors":
            save_file(state, unfinished)
        else:
            torch.save(state, unfinished)
        unfinished.replace(path)
    return paths


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m headless.checkpoints", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    options = parser.parse_args()
    for name in options.only:
        for path in write(options.folder, name):
            print(f"{path.stat().st_size / 1e9:6.2f} GB  {path}")


if __name__ == "__main__":
    main()
