"""How far η = 40 moves the latents of each family, relative to their norm: ``python -m headless.bench_strides``.

Random models of the true classes, at about a quarter of their width and with a few of their blocks, on 256×256
pixels, early in sampling; norms of 1, other weights normal with deviation 1/√fan-in. The last column is what the
families' files call ``stride``: how much farther Stable Diffusion 1.5's latents are moved.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .bench_families import SHAPES, Shape, bound_to, model_of
from .comfyui import find
from .in_process import load_comfyui, load_pack

ETA, SEEDS, SIDE = 40.0, 2, 32
UNET = Shape(
    "SD15",
    {
        "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 96, "num_res_blocks": [2, 2, 2, 2],
        "channel_mult": [1, 2, 4, 4], "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "num_heads": 8,
        "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], "transformer_depth_middle": 1,
        "context_dim": 768, "use_spatial_transformer": True, "use_linear_in_transformer": False, "legacy": False,
    },
    (77, 768),
)  # fmt: skip


def _scaled() -> dict[str, Shape]:
    def of(name: str, **changed: Any) -> Shape:
        return replace(SHAPES[name], network={**SHAPES[name].network, **changed})

    embedder = {"target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 640}}
    return {
        "SD 1.5": UNET,
        "SD 3.5 large": of("SD 3.5 large", depth=10, context_embedder_config=embedder),
        "Flux.1 dev": of("Flux.1 dev", hidden_size=768, num_heads=6, depth=5, depth_single_blocks=0),
        "Qwen-Image": of("Qwen-Image", num_attention_heads=6, num_layers=9),
        "Z-Image-Turbo": of("Z-Image-Turbo", dim=1024, n_heads=8, n_kv_heads=8, n_layers=9),
    }


def moves(pack: str, shape: Shape) -> tuple[float, float]:
    """(mean |Δx| / |x| of one update, mean energy) over seeds."""
    import importlib

    guidance = importlib.import_module(f"{pack}.sedic.restoration.guidance")
    settings = guidance.GuidanceSettings(eta=ETA, t_prime=0.0, threshold=-1.0, updates=1, layers=("model's own",))
    mask = torch.zeros(SIDE * 8, SIDE * 8)
    mask[64:192, 64:192] = 1
    moved, energies = [], []
    for seed in range(SEEDS):
        generator = torch.Generator().manual_seed(seed)
        model = model_of(shape, torch.float32)
        for name, value in model.diffusion_model.named_parameters():
            if value.ndim < 2:
                value.data.fill_(float(not name.endswith("bias")))
            else:
                value.data.normal_(0, value[0].numel() ** -0.5, generator=generator)
        for buffer in model.diffusion_model.buffers():
            buffer.data.normal_(0, 0.02, generator=generator)
        channels = model.latent_format.latent_channels
        latent = torch.randn(1, channels, *([1] if shape.frames else []), SIDE, SIDE, generator=generator)
        sampling = model.model_sampling
        sigma = sampling.sigma(
            torch.tensor(900.0 if sampling.sigma_max > 1 else 0.9 * getattr(sampling, "multiplier", 1))
        )
        one = torch.ones(())
        x = sampling.noise_scaling(sigma, latent, 0.2 * latent.flip(-1) * one)
        bound, _ = bound_to(pack, model, shape, latent, generator)
        bound.family = type("Plain", (type(bound.family),), {"stride": 1.0})()
        guided = guidance.Guidance(mask, (2, 3), settings)
        after = guidance.guide(bound, x, sigma, guided, energies.append)
        moved.append(((after - x).norm() / x.norm()).item())
    return sum(moved) / SEEDS, sum(energies) / SEEDS


def report(pack: str) -> Iterator[str]:
    """A row a family."""
    yield f"{'':16}{'moved by':>12}{'energy':>9}{'stride':>9}"
    first = None
    for name, shape in _scaled().items():
        move, energy = moves(pack, shape)
        first = first or move
        yield f"{name:16}{move:12.2e}{energy:9.3f}{first / move:9.2g}"


def main() -> int:
    """The command line."""
    comfyui = find()
    if comfyui is None:
        print("There is no ComfyUI; run `python run.py test` once, or set COMFYUI_PATH.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        load_comfyui(comfyui, Path(temporary), pytorch_attention=True)
        for line in report(load_pack().__name__):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
