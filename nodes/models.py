"""Models for the graph: the embedded small ones, and DiffBIR's ControlNet."""

from __future__ import annotations

from functools import cache
from typing import Any

import comfy.cldm.cldm
import comfy.controlnet
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.taesd.taesd
import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io
from torch import Tensor, nn

from ..sedic.demo import PHOTOGRAPH
from ..sedic.errors import SedicError
from ..sedic.models import catalogue, embedded
from ..sedic.picture import read_picture
from .schema import schema


class EmbeddedLatents(comfy.latent_formats.LatentFormat):
    """The embedded autoencoder's latents: unit deviation."""

    latent_channels = embedded.LATENT_CHANNELS
    scale_factor = 1.0
    native_size = 8 * embedded.UNET["sample_size"]


def _network_config() -> dict[str, Any]:
    """ComfyUI's words for the embedded UNet's shape."""
    channels = embedded.UNET["block_out_channels"]
    attends = [int("CrossAttn" in block) for block in embedded.UNET["down_block_types"]]
    return {
        "image_size": embedded.UNET["sample_size"],
        "in_channels": embedded.UNET["in_channels"],
        "out_channels": embedded.UNET["out_channels"],
        "model_channels": channels[0],
        "channel_mult": [c // channels[0] for c in channels],
        "num_res_blocks": [embedded.UNET["layers_per_block"]] * len(channels),
        "transformer_depth": attends,
        "transformer_depth_middle": 1,
        "transformer_depth_output": [depth for depth in attends for _ in range(embedded.UNET["layers_per_block"] + 1)],
        "context_dim": embedded.UNET["cross_attention_dim"],
        "num_heads": embedded.UNET["attention_head_dim"],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": False,
        "legacy": False,
        "dtype": torch.float32,
    }


class EmbeddedConfig(comfy.supported_models_base.BASE):
    """What ComfyUI's BaseModel asks of a model's description."""

    latent_format = EmbeddedLatents
    unet_extra_config: dict[str, Any] = {}


class EmbeddedTextEncoder(comfy.sd1_clip.SDClipModel):
    """The embedded CLIP text encoder, last layer, as Stable Diffusion 1.x reads it."""

    def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: dict[str, Any] | None = None):
        config = dict(embedded.TEXT_ENCODER)
        super().__init__(
            device=device,
            dtype=dtype,
            textmodel_json_config=config,
            return_projected_pooled=False,
            model_options=model_options or {},
        )


class EmbeddedClip(comfy.sd1_clip.SD1ClipModel):
    """Wraps the encoder under ComfyUI's name for CLIP-L."""

    def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: dict[str, Any] | None = None):
        super().__init__(device=device, dtype=dtype, model_options=model_options or {}, clip_model=EmbeddedTextEncoder)


def _to_ldm_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    names = comfy.utils.unet_to_diffusers(_network_config())
    return {names[key]: value for key, value in state.items() if key in names}


def _strict(module: nn.Module, state: dict[str, Tensor], part: str) -> None:
    """Loads all of ``state`` or says what did not fit."""
    missing, unexpected = module.load_state_dict(state, strict=False)
    buffers = {name for name, _ in module.named_buffers()}
    absent = [name for name in missing if name not in buffers]
    if absent or unexpected:
        raise SedicError(
            f"The {part} has other keys than expected ({[*absent, *unexpected][:3]} …); get the file again."
        )


def load_network() -> comfy.model_patcher.ModelPatcher:
    """The embedded UNet as MODEL."""
    device = comfy.model_management.get_torch_device()
    config = EmbeddedConfig(_network_config())
    config.manual_cast_dtype = None
    model = comfy.model_base.BaseModel(config, comfy.model_base.ModelType.V_PREDICTION)
    _strict(model.diffusion_model, _to_ldm_keys(embedded.read_state("unet")), "embedded UNet")
    model.latent_format.latent_rgb_factors, model.latent_format.latent_rgb_factors_bias = preview_factors()
    return comfy.model_patcher.ModelPatcher(model, device, comfy.model_management.unet_offload_device())


@cache
@torch.no_grad()
def preview_factors() -> tuple[list[list[float]], list[float]]:
    """The linear map from latents to colours for ComfyUI's previews, fitted to the shipped photograph."""
    pixels = torch.from_numpy(read_picture(PHOTOGRAPH)).movedim(-1, 0)[None, :, :256, :256].float() / 127.5 - 1
    latents = embedded.load("autoencoder").encode(pixels).latents[0].flatten(1).T  # cells,channels
    colours = nn.functional.avg_pool2d(pixels, 8)[0].flatten(1).T
    fitted = torch.linalg.lstsq(torch.cat([latents, torch.ones(len(latents), 1)], 1), colours).solution
    return fitted[:-1].tolist(), fitted[-1].tolist()


def load_clip() -> comfy.sd.CLIP:
    """The embedded text encoder with CLIP's tokenizer as CLIP."""
    target = comfy.supported_models_base.ClipTarget(comfy.sd1_clip.SD1Tokenizer, EmbeddedClip)
    clip = comfy.sd.CLIP(target, embedding_directory=folder_paths.get_folder_paths("embeddings"))
    state = {f"text_model.{key}": value for key, value in embedded.read_state("text_encoder").items()}
    encoder = clip.cond_stage_model.clip_l.transformer
    missing, unexpected = encoder.load_state_dict(state, strict=False)
    if unexpected or any(name != "text_projection.weight" for name in missing):
        raise SedicError(f"The embedded text encoder has other keys than expected ({missing + unexpected}); reinstall.")
    with torch.no_grad():
        encoder.text_projection.weight.copy_(torch.eye(embedded.TEXT_ENCODER["hidden_size"]))
    return clip


class _ZeroToOne(nn.Module):
    """Half of the embedded autoencoder, whose pictures are in [-1, 1], where ComfyUI's TAESD has them in [0, 1]."""

    def __init__(self, network: nn.Module, encodes: bool):
        super().__init__()
        self.network, self.encodes = network, encodes

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x * 2 - 1) if self.encodes else self.network(x) / 2 + 0.5


def load_vae() -> comfy.sd.VAE:
    """The embedded autoencoder as VAE: ComfyUI's own for TAESD, with the two networks exchanged."""
    vae = comfy.sd.VAE(sd=comfy.taesd.taesd.TAESD(latent_channels=embedded.LATENT_CHANNELS).state_dict())
    ours = embedded.load("autoencoder").to(vae.vae_dtype)
    vae.first_stage_model.taesd_encoder = _ZeroToOne(ours.encoder, encodes=True)
    vae.first_stage_model.taesd_decoder = _ZeroToOne(ours.decoder, encodes=False)
    vae.size = None  # counted again for the exchanged networks
    vae.model_size()
    return vae


def load_control_net() -> comfy.controlnet.ControlNet:
    """The embedded ControlNet, which takes the condition's latent, as CONTROL_NET."""
    config = {
        key: value
        for key, value in _network_config().items()
        if key not in ("transformer_depth_output", "out_channels")
    }
    hint = embedded.CONTROLNET["conditioning_embedding_out_channels"][0]
    network = comfy.cldm.cldm.ControlNet(hint_channels=embedded.LATENT_CHANNELS, **config)
    network.input_hint_block = _hint_block(embedded.LATENT_CHANNELS, hint, config["model_channels"])
    state = embedded.read_state("controlnet")
    renamed = _to_ldm_keys(state)
    for key, value in state.items():
        name, _, kind = key.rpartition(".")
        if name.startswith("controlnet_down_blocks."):
            renamed[f"zero_convs.{name.rsplit('.', 1)[1]}.0.{kind}"] = value
    for kind in ("weight", "bias"):
        renamed[f"middle_block_out.0.{kind}"] = state[f"controlnet_mid_block.{kind}"]
        renamed[f"input_hint_block.0.{kind}"] = state[f"controlnet_cond_embedding.conv_in.{kind}"]
        renamed[f"input_hint_block.2.{kind}"] = state[f"controlnet_cond_embedding.conv_out.{kind}"]
    _strict(network, renamed, "embedded ControlNet")
    return _latent_control_net(network.eval(), EmbeddedLatents())


def load_ir_control_net(state: dict[str, Tensor], name: str) -> comfy.controlnet.ControlNet:
    """DiffBIR's IRControlNet (ref. [34]) as a ControlNet whose hint is a latent.

    IRControlNet convolves z_t and the condition's latent concatenated. A convolution over a concatenation is the sum
    of two, and ComfyUI adds the hint right behind the first block: so the first four input channels with the bias
    stay, and the other four become the hint block.

    Args:
        state: the checkpoint's flat keys.
        name: the file, for errors.

    Raises:
        SedicError: these are not IRControlNet's keys.
    """
    state = {key.removeprefix("control_model.").removeprefix("module."): value for key, value in state.items()}
    first = state.pop("input_blocks.0.0.weight", None)
    if first is None or first.shape[1] != 8 or "input_hint_block.0.weight" in state:
        raise SedicError(
            f"{name} is not a DiffBIR IRControlNet (it needs input_blocks.0.0.weight with 8 input channels and no "
            "hint block); load other ControlNets with ComfyUI's own loader."
        )
    keys = ("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", "input_blocks.1.1.proj_in.weight")
    if any(key not in state for key in keys):
        raise SedicError(f"{name} lacks {' and '.join(keys)}, so it is no whole IRControlNet; fetch it again.")
    context, linear = state[keys[0]].shape[1], state[keys[1]].ndim == 2
    network = comfy.cldm.cldm.ControlNet(
        image_size=32,
        in_channels=4,
        hint_channels=4,
        model_channels=first.shape[0],
        num_res_blocks=2,
        channel_mult=(1, 2, 4, 4),
        transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
        transformer_depth_middle=1,
        num_head_channels=64,
        context_dim=context,
        use_spatial_transformer=True,
        use_linear_in_transformer=linear,
        legacy=False,
    )
    network.input_hint_block = _hint_block(4, None, first.shape[0], bias=False)
    state |= {"input_blocks.0.0.weight": first[:, :4], "input_hint_block.0.weight": first[:, 4:]}
    _strict(network, state, name)
    return _latent_control_net(network.eval(), comfy.latent_formats.SD15())


def _hint_block(channels: int, hidden: int | None, out: int, bias: bool = True) -> nn.Module:
    """One convolution, or two with SiLU between, at the latent's size; runs where TimestepEmbedSequential would."""
    sequential = comfy.ldm.modules.diffusionmodules.openaimodel.TimestepEmbedSequential
    convolution = comfy.ops.disable_weight_init.Conv2d
    if hidden is None:
        return sequential(convolution(channels, out, 3, padding=1, bias=bias))
    return sequential(convolution(channels, hidden, 3, padding=1), nn.SiLU(), convolution(hidden, out, 3, padding=1))


def _latent_control_net(network: nn.Module, latent_format: Any) -> comfy.controlnet.ControlNet:
    return comfy.controlnet.ControlNet(
        network,
        compression_ratio=1,  # of the hint, which ComfyUI encodes with the VAE itself
        latent_format=latent_format,
        load_device=comfy.model_management.get_torch_device(),
    )


class EmbeddedModels(io.ComfyNode):
    """The small models that ship with the pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_EmbeddedModels",
            search_aliases=("load checkpoint", "small models", "CPU"),
            display_name="Embedded Models (SEDIC)",
            category="SEDIC/models",
            description="Small models that ship with the pack: enough to try every wire on a CPU, no more.",
            inputs=[],
            outputs=[
                io.Model.Output(tooltip="UNet, predicts v, 20 latent channels."),
                io.Clip.Output(tooltip="Text encoder with CLIP's tokenizer."),
                io.Vae.Output(tooltip="Small autoencoder, 20 latent channels, 8 times smaller."),
                io.ControlNet.Output(tooltip="ControlNet that takes the picture restored so far, as a latent."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(load_network(), load_clip(), load_vae(), load_control_net())


class IRControlNetLoader(io.ComfyNode):
    """DiffBIR's restoration ControlNet from models/controlnet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SEDIC_IRControlNetLoader",
            search_aliases=("DiffBIR", "load controlnet"),
            display_name="Load IRControlNet (SEDIC)",
            category="SEDIC/models",
            description="Loads DiffBIR's v1_general.pth or v2.pth, which ComfyUI's own loader does not know.",
            inputs=[
                io.Combo.Input(
                    "control_net_name",
                    options=folder_paths.get_filename_list("controlnet"),
                    tooltip="DiffBIR's v1_general.pth or v2.pth in models/controlnet; use it with SD 2.1-base.",
                )
            ],
            outputs=[
                io.ControlNet.Output(tooltip="Takes the condition as a latent; wire the VAE of SD 2.1 beside it.")
            ],
        )

    @classmethod
    def execute(cls, control_net_name: str) -> io.NodeOutput:
        path = folder_paths.get_full_path("controlnet", control_net_name)
        if path is None:
            raise SedicError(
                f"models/controlnet holds no {control_net_name}; get {catalogue.DIFFBIR.what} from "
                f"{catalogue.DIFFBIR.url} and put it there."
            )
        state = comfy.utils.load_torch_file(path, safe_load=True)
        return io.NodeOutput(load_ir_control_net(state, control_net_name))


NODES = [EmbeddedModels, IRControlNetLoader]
