"""Reads a folder of models: diffusers' layout, or Stable Diffusion's single files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import SedicError
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

    if folder.is_dir() and not (folder / "unet").exists() and not (folder / "vae").exists():
        from .checkpoints import read_files

        return read_files(folder, device)

    def read(part: str, kind: Any, **options: Any) -> Any:
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
    return DiffusersModels(
        autoencoder=in_tiles(read("vae", diffusers.AutoencoderKL, **plain).to(device)),
        unet=unet,
        controlnet=controlnet,
        text_encoder=read("text_encoder", transformers.CLIPTextModel).to(device),
        tokenizer=read("tokenizer", transformers.CLIPTokenizer),
        prediction=read("scheduler", diffusers.DDIMScheduler).config.prediction_type,
        latent_condition=controlnet is not None and controlnet.config.conditioning_channels == unet.config.in_channels,
        **second,
    )


def _text(path: Path) -> str:
    """A small file's text; empty if there is none, which reading the model tells better."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
