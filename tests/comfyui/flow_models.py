"""Flow transformers of ComfyUI's own classes and keys, as small as they go, with texts and pictures for them."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

WORDS = (2, 3)  # positions of the object's name among the text's tokens
SIZE = (128, 64)  # pixels
CPU = torch.device("cpu")


class FlatVae:
    """Stands for an autoencoder of 16 channels: means of 8×8 pixels, and back; with a time axis if it is a video's."""

    latent_channels = 16

    def __init__(self, dimensions: int = 2, cell: int = 8, channels: int = 16):
        self.dimensions, self.cell, self.latent_channels = dimensions, cell, channels

    def spacial_compression_encode(self) -> int:
        return self.cell

    def encode(self, pixels: Tensor) -> Tensor:
        small = F.avg_pool2d(pixels.movedim(-1, 1)[:, :3], self.cell) * 2 - 1
        latent = torch.cat([small] * (-(-self.latent_channels // 3)), 1)[:, : self.latent_channels]
        return latent if self.dimensions == 2 else latent[:, :, None]

    def decode(self, latent: Tensor) -> Tensor:
        flat = latent.flatten(0, -4) if self.dimensions == 2 else latent[:, :, 0]
        image = F.interpolate(flat[:, :3], scale_factor=self.cell).movedim(1, -1) / 2 + 0.5
        return image.clamp(0, 1) if self.dimensions == 2 else image.clamp(0, 1)[:, None]  # B,T,H,W,C of a video


@dataclass(frozen=True)
class Tiny:
    """A family's smallest model.

    Attributes:
        config: name of ComfyUI's description of the family.
        shape: what its network is made with.
        text: (tokens, features) of its conditioning; ``pooled``: features of the whole text's.
        control: makes its ControlNet, of ComfyUI's own class; None where it has none.
        spread: deviation of the random weights, so that attention is neither even nor hard.
    """

    config: str
    shape: dict[str, Any]
    text: tuple[int, int]
    pooled: int | None = None
    control: Callable[[dict[str, Any]], Any] | None = None
    spread: float = 0.2
    dimensions: int = 2
    cell: int = 8
    channels: int = 16


def _operations() -> dict[str, Any]:
    import comfy.ops

    return {"operations": comfy.ops.disable_weight_init, "device": CPU, "dtype": torch.float32}


def _controlled(network: Any, **options: Any) -> Any:
    import comfy.controlnet

    return comfy.controlnet.ControlNet(network, compression_ratio=1, load_device=CPU, **options)


def _sd35_control(shape: dict[str, Any]) -> Any:
    import comfy.cldm.dit_embedder
    import comfy.controlnet
    import comfy.latent_formats

    network = comfy.cldm.dit_embedder.ControlNetEmbedder(
        img_size=None, patch_size=2, in_chans=16, num_layers=2, main_model_double=shape["depth"], double_y_emb=False,
        attention_head_dim=64, num_attention_heads=shape["depth"], adm_in_channels=shape["adm_in_channels"],
        **_operations(),
    )  # fmt: skip
    return comfy.controlnet.ControlNetSD35(
        network, compression_ratio=1, latent_format=comfy.latent_formats.SD3(), load_device=CPU
    )


def _flux_control(shape: dict[str, Any]) -> Any:
    import comfy.latent_formats
    import comfy.ldm.flux.controlnet

    network = comfy.ldm.flux.controlnet.ControlNetFlux(
        latent_input=True, num_union_modes=2, control_latent_channels=16,
        **{**shape, "depth": 2, "depth_single_blocks": 1}, **_operations(),
    )  # fmt: skip
    made = _controlled(network, latent_format=comfy.latent_formats.Flux(), extra_conds=["y", "guidance"])
    made.set_extra_arg("control_type", [1])
    return made


def _qwen_control(shape: dict[str, Any]) -> Any:
    import comfy.latent_formats
    import comfy.ldm.qwen_image.controlnet

    network = comfy.ldm.qwen_image.controlnet.QwenImageControlNetModel(**{**shape, "num_layers": 2}, **_operations())
    return _controlled(network, latent_format=comfy.latent_formats.Wan21(), extra_conds=[])


TINY = {
    "SD 3.5": Tiny(
        "SD3",
        {
            "input_size": None, "pos_embed_scaling_factor": None, "pos_embed_max_size": 16, "num_patches": 256,
            "patch_size": 2, "in_channels": 16, "depth": 3, "adm_in_channels": 32, "qk_norm": "rms",
            "x_block_self_attn_layers": [0],
            "context_embedder_config": {
                "target": "torch.nn.Linear", "params": {"in_features": 48, "out_features": 192}
            },
        },
        (9, 48), 32, _sd35_control, spread=0.12,
    ),
    "Flux": Tiny(
        "Flux",
        {
            "image_model": "flux", "in_channels": 16, "out_channels": 16, "vec_in_dim": 32, "context_in_dim": 48,
            "hidden_size": 96, "mlp_ratio": 4.0, "num_heads": 4, "depth": 3, "depth_single_blocks": 2,
            "axes_dim": [4, 10, 10], "theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": True,
        },
        (9, 48), 32, _flux_control, spread=0.1,
    ),
    "Qwen-Image": Tiny(
        "QwenImage",
        {
            "image_model": "qwen_image", "patch_size": 2, "in_channels": 64, "out_channels": 16, "num_layers": 3,
            "attention_head_dim": 24, "num_attention_heads": 4, "joint_attention_dim": 48,
            "axes_dims_rope": (8, 8, 8),
        },
        (9, 48), None, _qwen_control, spread=0.15, dimensions=3,
    ),
    "Z-Image": Tiny(
        "ZImage",
        {
            "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "dim": 256, "n_layers": 3,
            "n_refiner_layers": 1, "n_heads": 4, "n_kv_heads": 4, "multiple_of": 32, "ffn_dim_multiplier": 2.0,
            "norm_eps": 1e-5, "qk_norm": True, "cap_feat_dim": 48, "axes_dims": [16, 24, 24],
            "axes_lens": [64, 64, 64], "rope_theta": 256.0, "z_image_modulation": True, "time_scale": 1000.0,
            "pad_tokens_multiple": 32,
        },
        (9, 48), None, None, spread=0.2,
    ),
}  # fmt: skip


def ready(network: torch.nn.Module, spread: float, seed: int) -> torch.nn.Module:
    """Random weights under inference mode, as ComfyUI's loaders leave them; norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if value.is_floating_point():
            value.data.normal_(0, spread, generator=generator)
            if value.ndim == 1 and "norm" in name and not name.endswith("bias"):
                value.data.add_(1)
    return network.eval()


def shape_of(tiny: Tiny) -> dict[str, Any]:
    """What a network is made with, on the ComfyUI that is there."""
    import comfy.ldm.flux.model

    newer = tiny.config == "Flux" and "txt_ids_dims" in comfy.ldm.flux.model.FluxParams.__dataclass_fields__
    return {**tiny.shape, "txt_ids_dims": []} if newer else dict(tiny.shape)


def model_of(tiny: Tiny, dtype: torch.dtype = torch.float32) -> Any:
    """A MODEL of ComfyUI's own classes."""
    import comfy.model_patcher
    import comfy.supported_models

    shape = shape_of(tiny)
    config = getattr(comfy.supported_models, tiny.config)({**shape, "dtype": dtype})
    config.manual_cast_dtype = None
    model = config.get_model({}, device=CPU)
    ready(model.diffusion_model, tiny.spread, 0)
    return comfy.model_patcher.ModelPatcher(model, CPU, CPU)


def flow_scene(name: str) -> types.SimpleNamespace:
    """A tiny model of the family with texts, a picture and a mask, made as ComfyUI's executor would make them."""
    tiny = TINY[name]
    generator = torch.Generator().manual_seed(5)
    with torch.inference_mode():
        model = model_of(tiny)
        control_net = None
        if tiny.control is not None:
            control_net = tiny.control(shape_of(tiny))
            ready(control_net.control_model, tiny.spread, 1)
        image = torch.rand(1, *SIZE, 3, generator=torch.Generator().manual_seed(1))
        mask = torch.zeros(SIZE)
        mask[32:96, 16:48] = 1
        conditionings = []
        for _ in range(2):
            extra: dict[str, Any] = (
                {} if tiny.pooled is None else {"pooled_output": torch.randn(1, tiny.pooled, generator=generator)}
            )
            extra["guidance"] = 4.0  # Flux's own input, times a thousand exact in bfloat16, where 3500 is not
            conditionings.append([[torch.randn(1, *tiny.text, generator=generator), extra]])
    return types.SimpleNamespace(
        name=name, model=model, vae=FlatVae(tiny.dimensions, tiny.cell, tiny.channels), control_net=control_net,
        image=image, mask=mask, positive=conditionings[0], negative=conditionings[1], tokens=WORDS, tiny=tiny,
    )  # fmt: skip
