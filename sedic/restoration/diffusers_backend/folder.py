"""Reads a folder of models: diffusers' layout, or Stable Diffusion's single files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import SedicError
from .checkpoints import TRANSFORMER, read_files
from .denoiser import DiffusersModels, in_tiles


def read_folder(folder: Path, device: str = "cpu") -> DiffusersModels:
    """Reads a folder's models.

    With ``unet`` in it, diffusers' layout: ``vae``, ``unet``, ``text_encoder``, ``tokenizer``, ``scheduler``; for SDXL
    ``text_encoder_2`` and ``tokenizer_2``; if there, ``controlnet``. Else single files, see :mod:`.checkpoints`.

    Raises:
        SedicError: a part is missing or cannot be read.
    """
    import diffusers
    import transformers

    parts = _json(folder / "model_index.json")
    if "transformer" in parts or (folder / "transformer").is_dir():
        raise SedicError(TRANSFORMER.format(folder, f"a {parts.get('_class_name', 'transformer')}"))
    if folder.is_dir() and not (folder / "unet").exists() and not (folder / "vae").exists():
        return read_files(folder, device)

    def read(part: str, kind: Any, **options: Any) -> Any:
        names = [path.name for path in (folder / part).glob("*.safetensors")]
        if names and all(".fp16." in name for name in names):
            options["variant"] = "fp16"
        try:
            return kind.from_pretrained(folder / part, local_files_only=True, **options)
        # tokenizers raises bare Exception for a damaged vocabulary
        except Exception as error:
            raise SedicError(
                f"{folder / part} cannot be read as a {kind.__name__} ({str(error).strip().splitlines()[0]}); "
                "--models takes a folder in diffusers' layout, with controlnet beside unet."
            ) from error

    plain = {"low_cpu_mem_usage": False}  # otherwise diffusers asks for accelerate, line after line
    unet = read("unet", diffusers.UNet2DConditionModel, **plain).to(device)
    controlnet = None
    if (folder / "controlnet").is_dir():
        union = '"ControlNetUnionModel"' in _text(folder / "controlnet" / "config.json")
        kind = diffusers.ControlNetUnionModel if union else diffusers.ControlNetModel
        controlnet = read("controlnet", kind, **plain).to(device)
    second: dict[str, Any] = {}
    if (folder / "text_encoder_2").is_dir():
        second["text_encoder_2"] = read("text_encoder_2", transformers.CLIPTextModelWithProjection).to(device)
        second["tokenizer_2"] = read("tokenizer_2", transformers.CLIPTokenizer)
    models = DiffusersModels(
        autoencoder=in_tiles(read("vae", diffusers.AutoencoderKL, **plain).to(device)),
        unet=unet,
        controlnet=controlnet,
        text_encoder=read("text_encoder", transformers.CLIPTextModel).to(device),
        tokenizer=read("tokenizer", transformers.CLIPTokenizer),
        prediction=read("scheduler", diffusers.DDIMScheduler).config.prediction_type,
        latent_condition=controlnet is not None and controlnet.config.conditioning_channels == unet.config.in_channels,
        where=str(folder),
        **second,
    )
    for one in (models.unet, models.controlnet, models.autoencoder, models.text_encoder, models.text_encoder_2):
        if one is not None:
            one.float()  # transformers keeps a file's own precision, and processors lack operations in half
    return models


def made_for_few_steps(folder: Path) -> bool:
    """Whether a folder's scheduler says so: consistency models' own, or steps that begin at the last time (Turbo)."""
    scheduler = _json(folder / "scheduler" / "scheduler_config.json")
    kind = scheduler.get("_class_name")
    if kind in ("LCMScheduler", "TCDScheduler"):
        return True
    trailing = scheduler.get("timestep_spacing") == "trailing" and not scheduler.get("rescale_betas_zero_snr")
    return trailing and kind in ("EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler")


def _json(path: Path) -> dict[str, Any]:
    """A small file's object; empty if there is none, or none that can be read, which reading the model tells better."""
    try:
        found = json.loads(_text(path) or "{}")
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    """A small file's text; empty if there is none, which reading the model tells better."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
