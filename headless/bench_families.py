"""What a guided update costs on each family of flow transformers, counted from shapes: nothing is run or loaded.

    python -m headless.bench_decoder --count

prints it behind the UNets'. Networks of true shape, in bfloat16, at 1024×1024 pixels, without a ControlNet; beside an
unguided step as the family is usually sampled: one pass, or two where classifier-free guidance is at work.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from .meter import Cost, counted

SIDE = 128  # latent cells: 1024 pixels
CPU = torch.device("cpu")
TOKENS = (2, 3)


@dataclass(frozen=True)
class Shape:
    """A network of true shape.

    Attributes:
        config: ComfyUI's description of the family.
        network: what it is made with.
        text: (tokens, features); ``pooled``: features of the whole text's.
        passes: of the network in an unguided step.
    """

    config: str
    network: dict[str, Any]
    text: tuple[int, int]
    pooled: int = 0
    passes: int = 1
    frames: bool = False


def _sd35(depth: int, **options: Any) -> dict[str, Any]:
    return {
        "input_size": None, "pos_embed_scaling_factor": None, "pos_embed_max_size": 192, "num_patches": 36864,
        "patch_size": 2, "in_channels": 16, "depth": depth, "adm_in_channels": 2048, "qk_norm": "rms",
        "context_embedder_config": {
            "target": "torch.nn.Linear", "params": {"in_features": 4096, "out_features": 64 * depth}
        },
        **options,
    }  # fmt: skip


SHAPES = {
    "SD 3.5 large": Shape("SD3", _sd35(38), (154, 4096), 2048, passes=2),
    "SD 3.5 medium": Shape(
        "SD3", _sd35(24, x_block_self_attn_layers=list(range(13)), pos_embed_max_size=384, num_patches=147456),
        (154, 4096), 2048, passes=2,
    ),
    "Flux.1 dev": Shape(
        "Flux",
        {
            "image_model": "flux", "in_channels": 16, "out_channels": 16, "vec_in_dim": 768, "context_in_dim": 4096,
            "hidden_size": 3072, "mlp_ratio": 4.0, "num_heads": 24, "depth": 19, "depth_single_blocks": 38,
            "axes_dim": [16, 56, 56], "theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": True,
        },
        (256, 4096), 768,
    ),
    "Qwen-Image": Shape(
        "QwenImage",
        {
            "image_model": "qwen_image", "patch_size": 2, "in_channels": 64, "out_channels": 16, "num_layers": 60,
            "attention_head_dim": 128, "num_attention_heads": 24, "joint_attention_dim": 3584,
            "axes_dims_rope": (16, 56, 56),
        },
        (64, 3584), passes=2, frames=True,
    ),
    "Z-Image-Turbo": Shape(
        "ZImage",
        {
            "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": 3840, "n_layers": 30,
            "n_refiner_layers": 2, "n_heads": 30, "n_kv_heads": 30, "multiple_of": 256, "ffn_dim_multiplier": 8 / 3,
            "norm_eps": 1e-5, "qk_norm": True, "cap_feat_dim": 2560, "axes_dims": [32, 48, 48],
            "axes_lens": [1536, 512, 512], "rope_theta": 256.0, "z_image_modulation": True, "time_scale": 1000.0,
            "pad_tokens_multiple": 32,
        },
        (64, 2560),
    ),
}  # fmt: skip


def model_of(shape: Shape, dtype: torch.dtype = torch.bfloat16) -> Any:
    """ComfyUI's model; inside a FakeTensorMode its weights take no memory."""
    import comfy.ldm.flux.model
    import comfy.model_patcher
    import comfy.supported_models

    network = dict(shape.network)
    if network.get("image_model") == "flux" and (
        "txt_ids_dims" in comfy.ldm.flux.model.FluxParams.__dataclass_fields__
    ):
        network["txt_ids_dims"] = []  # newer cores
    config = getattr(comfy.supported_models, shape.config)({**network, "dtype": dtype})
    config.manual_cast_dtype = None
    model = config.get_model({}, device=CPU)
    model.diffusion_model.requires_grad_(False)
    model.current_patcher = comfy.model_patcher.ModelPatcher(model, CPU, CPU)
    return model


def bound_to(
    pack: str, model: Any, shape: Shape, latent: torch.Tensor, generator: torch.Generator | None = None
) -> tuple[Any, list[Any]]:
    """The pack's denoiser on a model outside of a sampler, and its conditioning, random with a ``generator``."""
    denoiser = importlib.import_module(f"{pack}.nodes.comfy_denoiser.denoiser")
    prompt = importlib.import_module(f"{pack}.nodes.comfy_denoiser.prompt")
    dtype = model.get_dtype()
    text = torch.zeros(1, *shape.text, dtype=dtype)
    if generator is not None:
        text = torch.randn(1, *shape.text, generator=generator)
    given = {"cross_attn": text, "noise": latent, "device": CPU}
    if shape.pooled:
        given["pooled_output"] = torch.zeros(1, shape.pooled, dtype=dtype)
    condition = {"cross_attn": text, "model_conds": model.extra_conds(**given), "uuid": shape.config}
    guider = types.SimpleNamespace(inner_model=model, conds={"positive": [condition]})
    options: dict[str, Any] = {"model_options": {"transformer_options": {}}}
    bound = denoiser.ComfyDenoiser(types.SimpleNamespace(inner_model=guider), options)
    bound.words = types.SimpleNamespace(
        prompt=types.SimpleNamespace(tokens=TOKENS),
        place=lambda _: prompt.Place(0, shape.text[0], 0.0),
        choose=lambda conditions, acting, level: conditions[0],
    )
    return bound, [condition]


def costs(pack: str, shape: Shape, layers: tuple[str, ...]) -> dict[str, Cost]:
    """Of an unguided step and of a guided update of ``layers``, plain and with checkpointing."""
    import comfy.samplers

    found = {}
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = model_of(shape)
        latent = torch.empty(1, 16, *([1] if shape.frames else []), SIDE, SIDE)
        sigma = torch.tensor(0.7)
        bound, conditions = bound_to(pack, model, shape, latent)

        def step() -> None:
            with torch.no_grad():
                for _ in range(shape.passes):
                    comfy.samplers.calc_cond_batch(
                        model, [conditions], latent, sigma.expand(1), {"transformer_options": {}}
                    )

        def update() -> None:
            with torch.enable_grad():
                leaf = latent.clone().requires_grad_()
                maps = bound.attention(leaf, sigma, layers)
                energy = torch.stack([one.weights.square().mean() for one in maps]).mean()
                torch.autograd.grad(energy, leaf)

        def one(name: str, function: Callable[[], None]) -> None:
            with counted() as found[name]:
                function()

        one("step", step)
        one("update", update)
        bound.checkpoint = True
        one("checkpointing", update)
    return found


def report(pack: str, shapes: dict[str, Shape] = SHAPES, layers: tuple[str, ...] = ("model's own",)) -> Iterator[str]:
    """A row a family."""
    yield "Flow transformers of true shape, bfloat16, 1024×1024, one guided update in the layers that the family reads"
    yield "operations of an update as a share of an unguided step's; live tensors, and their share with checkpointing"
    yield f"{'':16}{'unguided step':>15}{'update':>9}{'checkpointing':>15}{'live tensors':>15}{'checkpointing':>22}"
    for name, shape in shapes.items():
        found = costs(pack, shape, layers)
        step, update, lean = (found[key] for key in ("step", "update", "checkpointing"))
        yield (
            f"{name:16}{step.operations / 1e12:12.1f} T {update.operations / step.operations:9.2f}×"
            f"{lean.operations / step.operations:14.2f}×{update.peak / 1e9:12.2f} GB"
            f"{lean.peak / 1e9:12.2f} GB{lean.peak / update.peak:7.2f}×"
        )
