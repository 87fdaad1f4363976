"""Stable Diffusion's single files, recognised by their keys and read into diffusers' classes, without the network.

SD 1.x, SD 2.x and SDXL checkpoints in their authors' layout; ControlNets in their authors' or in diffusers' layout, for
SDXL also union ones; DiffBIR's IRControlNet. Shapes come from the tensors, names are diffusers' own to convert.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import SedicError
from ...models.embedded import tokenizer
from .denoiser import TILE_TYPE, DiffusersModels, in_tiles

SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt", ".bin")
UNET = "model.diffusion_model."
TEXTS = ("cond_stage_model.transformer.", "cond_stage_model.model.")
TEXTS_XL = ("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model.")
TRANSFORMER_KEYS = ("double_blocks.", "joint_blocks.", "single_transformer_blocks.", "transformer_blocks.", "layers.")
"""What the keys of Flux, SD 3, Qwen-Image, Z-Image and their ControlNets begin with, and no UNet's."""
TRANSFORMER = (
    "{} holds {}, a diffusion transformer, and the command line decodes with UNets (SD 1.x, 2.x, SDXL, also those of "
    "few steps); load it in ComfyUI, in one of the pack's graphs (workflows/sedic_*.json)."
)
State = Mapping[str, Tensor]


def read_state(path: Path) -> dict[str, Tensor]:
    """A file's tensors; pickled ones are read without executing anything.

    Raises:
        SedicError: it cannot be read.
    """
    state: Any
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has its own exceptions, and pickle any
        raise SedicError(f"{path} cannot be read ({str(error).strip().splitlines()[0]}); fetch it again.") from error
    state = state.get("state_dict", state)
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def read_files(folder: Path, device: str = "cpu") -> DiffusersModels:
    """The checkpoint and, if there, the ControlNet that lie in a folder, or in its ``checkpoints`` and ``controlnet``.

    Raises:
        SedicError: not exactly one checkpoint, more than one ControlNet, or files that fit neither.
    """
    paths = [p for part in ("", "checkpoints", "controlnet") for p in sorted((folder / part).glob("*"))
             if p.suffix in SUFFIXES and p.is_file()]  # fmt: skip
    kinds: dict[str, list[tuple[Path, dict[str, Tensor]]]] = {"checkpoint": [], "ControlNet": []}
    for path in paths:
        state = read_state(path)
        if any(key.removeprefix(UNET).startswith(TRANSFORMER_KEYS) for key in state):
            raise SedicError(TRANSFORMER.format(path.name, "a transformer"))
        kind = "checkpoint" if any(key.startswith(UNET) for key in state) else "ControlNet"
        if kinds[kind]:
            raise SedicError(
                f"{folder} holds more than one {kind} ({kinds[kind][0][0].name}, {path.name}); leave one there."
            )
        kinds[kind].append((path, state))
    if not kinds["checkpoint"]:
        raise SedicError(f"{folder} holds neither diffusers' folders nor a checkpoint of Stable Diffusion in one file.")
    path, state = kinds["checkpoint"][0]
    models = checkpoint_models(state, path.name)
    if kinds["ControlNet"]:
        path, state = kinds["ControlNet"][0]
        models.controlnet, models.latent_condition = control_net(state, models.unet.config, path.name)
    for part in (models.unet, models.controlnet, models.autoencoder, models.text_encoder, models.text_encoder_2):
        if part is not None:
            part.float().eval().requires_grad_(False).to(device)
    return models


def checkpoint_models(state: State, name: str) -> DiffusersModels:
    """A checkpoint's network, autoencoder and text encoders; ``name`` is the file's, for errors."""
    import diffusers
    from diffusers.loaders import single_file_utils as convert

    config = unet_config(state)
    unet = _filled(
        diffusers.UNet2DConditionModel, config, lambda c: convert.convert_ldm_unet_checkpoint(dict(state), c), name
    )
    scale = 0.13025 if config.get("addition_embed_type") else 0.18215
    autoencoder = _filled(
        diffusers.AutoencoderKL, autoencoder_config(state, scale),
        lambda c: convert.convert_ldm_vae_checkpoint(dict(state), c), name,
    )  # fmt: skip
    prefixes = [prefix for prefix in (*TEXTS, *TEXTS_XL) if any(key.startswith(prefix) for key in state)]
    if not prefixes:
        raise SedicError(f"{name} holds no text encoder; take the whole checkpoint, not a part of it.")
    encoders = [text_encoder(state, prefix, name, pooled=prefix in TEXTS_XL[1:]) for prefix in prefixes]
    words = [tokenizer() for _ in prefixes]
    for prefix, one in zip(prefixes, words, strict=True):
        if prefix.endswith("model."):  # OpenCLIP fills with 0
            one.pad_token_id = 0
    return DiffusersModels(
        autoencoder=in_tiles(autoencoder), unet=unet, controlnet=None, text_encoder=encoders[0], tokenizer=words[0],
        text_encoder_2=encoders[1] if len(encoders) > 1 else None, tokenizer_2=words[1] if len(words) > 1 else None,
        prediction=prediction_of(state),
    )  # fmt: skip


def prediction_of(state: State) -> str:
    """``v_prediction`` for SD 2.x at 768 and for models that say so, else ``epsilon``.

    Nothing in an SD 2.x file names it; the spread of one norm's bias tells the two apart, as ComfyUI has it.
    """
    norm = state.get(f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias")
    second = any(key.startswith(TEXTS[1]) for key in state)
    spread = second and norm is not None and norm.float().std().item() > 0.09
    return "v_prediction" if "v_pred" in state or spread else "epsilon"


def unet_config(state: State, prefix: str = UNET) -> dict[str, Any]:
    """diffusers' words for a network in LDM's layout: of SD 1.x, SD 2.x or SDXL, at any width."""
    width = state[f"{prefix}input_blocks.0.0.weight"].shape[0]
    large = f"{prefix}label_emb.0.0.weight" in state
    factors = (1, 2, 4) if large else (1, 2, 4, 4)
    attends = [f"{prefix}input_blocks.{3 * level + 1}.1.norm.weight" in state for level in range(len(factors))]
    depths = [_depth(state, f"{prefix}input_blocks.{3 * level + 1}.1") for level in range(len(factors))]
    keys = [key for key in state if key.startswith(prefix) and key.endswith("attn2.to_k.weight")]
    linear = state[next(key for key in state if key.startswith(prefix) and key.endswith("proj_in.weight"))].ndim == 2
    config: dict[str, Any] = {
        "sample_size": 128 if large else 96 if prediction_of(state) == "v_prediction" else 64,
        "in_channels": 4,
        "block_out_channels": tuple(width * factor for factor in factors),
        "down_block_types": tuple("CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in attends),
        "layers_per_block": 2,
        "transformer_layers_per_block": tuple(max(1, depth) for depth in depths),
        "cross_attention_dim": state[keys[0]].shape[1],
        # SD 1.x has 8 heads everywhere, its successors heads of 64 channels
        "attention_head_dim": tuple(width * factor // 64 for factor in factors) if linear else 8,
        "use_linear_projection": linear,
    }
    if large:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": state[f"{prefix}label_emb.0.0.weight"].shape[1],
        }
    if prefix == UNET:
        config["out_channels"] = 4
        config["up_block_types"] = tuple("CrossAttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(attends))
    return config


def autoencoder_config(state: State, scale: float) -> dict[str, Any]:
    """diffusers' words for LDM's autoencoder, four levels of two residual blocks."""
    widths = tuple(state[f"first_stage_model.encoder.down.{level}.block.1.conv2.weight"].shape[0] for level in range(4))
    return {
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
        "scaling_factor": scale,
        "norm_num_groups": min(32, widths[0]),
    }


def text_encoder(state: State, prefix: str, name: str, pooled: bool) -> Any:
    """A text encoder in transformers' or OpenCLIP's layout.

    SD 2.x reads OpenCLIP's last layer but one: the encoder is built without the last.
    """
    import transformers
    from diffusers.loaders import single_file_utils as convert

    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    open_clip = prefix.endswith("model.")
    layer = "transformer.resblocks." if open_clip else "text_model.encoder.layers."
    layers = 1 + max(int(key.removeprefix(layer).split(".")[0]) for key in own if key.startswith(layer))
    table = own["token_embedding.weight" if open_clip else "text_model.embeddings.token_embedding.weight"]
    width = table.shape[1]
    config = transformers.CLIPTextConfig(
        vocab_size=table.shape[0], hidden_size=width, intermediate_size=4 * width,
        num_hidden_layers=layers - (prefix == TEXTS[1]), num_attention_heads=max(1, width // 64),
        hidden_act="gelu" if open_clip else "quick_gelu", projection_dim=width, bos_token_id=49406, eos_token_id=49407,
        pad_token_id=0 if open_clip else 49407,
    )  # fmt: skip
    kind = transformers.CLIPTextModelWithProjection if pooled else transformers.CLIPTextModel
    model = kind(config)
    found = convert.convert_open_clip_checkpoint(model, dict(state), prefix=prefix) if open_clip else dict(own)
    wanted = model.state_dict()
    if not any(key.startswith("text_model.") for key in wanted):  # transformers 5 dropped the prefix
        found = {key.removeprefix("text_model."): value for key, value in found.items()}
    try:
        model.load_state_dict({key: found[key] for key in wanted if not key.endswith("position_ids")}, strict=False)
    except (KeyError, RuntimeError) as error:
        raise SedicError(f"{name}'s text encoder is not whole ({error}); fetch it again.") from error
    return model


def control_net(state: State, unet: Mapping[str, Any], name: str) -> tuple[Any, bool]:
    """A ControlNet for a network, and whether it takes the condition's latent; ``unet`` is the network's config."""
    import diffusers
    from diffusers.loaders import single_file_utils as convert

    state = {key.removeprefix("module.").removeprefix("control_model."): value for key, value in state.items()}
    shared = ("in_channels", "block_out_channels", "down_block_types", "layers_per_block", "cross_attention_dim",
              "transformer_layers_per_block", "attention_head_dim", "use_linear_projection", "addition_embed_type",
              "addition_time_embed_dim", "projection_class_embeddings_input_dim")  # fmt: skip
    config = {key: unet[key] for key in shared if unet.get(key) is not None}
    if "time_embedding.linear_1.weight" in state:  # diffusers' own layout
        kind = diffusers.ControlNetUnionModel if "task_embedding" in state else diffusers.ControlNetModel
        if "task_embedding" in state:
            kinds, width = state["task_embedding"].shape
            if kinds <= TILE_TYPE:
                raise SedicError(f"{name} is a union ControlNet of {kinds} types without tile; take one that has it.")
            config |= {"num_control_type": kinds, "num_trans_channel": width}
            config["num_proj_channel"] = state["spatial_ch_projs.weight"].shape[0]
        steps = [key for key in state if key.startswith("controlnet_cond_embedding.blocks") and key.endswith("weight")]
        widths = [state["controlnet_cond_embedding.conv_in.weight"].shape[0], *(state[key].shape[0] for key in steps)]
        config["conditioning_embedding_out_channels"] = tuple(dict.fromkeys(widths))
        return _filled(kind, config, lambda _: dict(state), name), False
    first = state.get("input_blocks.0.0.weight")
    if first is None:
        raise SedicError(f"{name} is neither a checkpoint nor a ControlNet that is known here; take it out.")
    if "input_hint_block.0.weight" in state:
        return _filled(
            diffusers.ControlNetModel, config, lambda c: convert.convert_controlnet_checkpoint(state, c), name
        ), False
    return _ir_control_net(state, first, config, name), True


def _ir_control_net(state: dict[str, Tensor], first: Tensor, config: dict[str, Any], name: str) -> Any:
    """DiffBIR's (ref. [34]): a convolution over z and condition concatenated is the sum of two (design, section 5)."""
    import diffusers
    from diffusers.loaders import single_file_utils as convert

    channels = config["in_channels"]
    if first.shape[1] != 2 * channels:
        raise SedicError(f"{name} has {first.shape[1]} input channels and no hint block; an IRControlNet has 8.")
    state = state | {"input_blocks.0.0.weight": first[:, :channels]}
    model = _filled(
        diffusers.ControlNetModel, config, lambda c: convert.convert_controlnet_checkpoint(state, c), name,
        beside="controlnet_cond_embedding.",
    )  # fmt: skip
    model.controlnet_cond_embedding = nn.Conv2d(channels, first.shape[0], 3, padding=1, bias=False)
    model.controlnet_cond_embedding.weight.data = first[:, channels:].clone()
    return model


def _depth(state: State, place: str) -> int:
    depth = 0
    while f"{place}.transformer_blocks.{depth}.norm1.weight" in state:
        depth += 1
    return depth


def _filled(kind: Any, config: dict[str, Any], converted: Any, name: str, beside: str | None = None) -> Any:
    """A model of diffusers' with a file's weights, all of them; ``beside``: a part that is replaced afterwards."""
    try:
        with torch.device("meta"):
            model = kind(**config)
        found = converted(model.config)
        absent, unexpected = model.load_state_dict(found, strict=False, assign=True)
    except (KeyError, RuntimeError, IndexError, TypeError) as error:
        raise SedicError(
            f"{name} does not fit a {kind.__name__} ({str(error).strip().splitlines()[-1].strip()}); check that "
            "checkpoint and ControlNet belong together, or fetch it again."
        ) from error
    absent = [key for key in absent if beside is None or not key.startswith(beside)]
    if absent or unexpected:
        raise SedicError(
            f"{name} does not fit a {kind.__name__} (of {[*absent, *unexpected][:2]} one side knows nothing); check "
            "that checkpoint and ControlNet belong together."
        )
    return model
