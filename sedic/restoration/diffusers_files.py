"""Reads diffusers' models from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import SedicError
from .diffusers_denoiser import DiffusersModels


def read_folder(folder: Path, device: str = "cpu") -> DiffusersModels:
    """Reads ``vae``, ``unet``, ``text_encoder``, ``tokenizer``, ``scheduler`` and, if there, ``controlnet``.

    Raises:
        SedicError: a part is missing or cannot be read.
    """
    import diffusers
    import transformers

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
        controlnet = read("controlnet", diffusers.ControlNetModel, **plain).to(device)
    return DiffusersModels(
        autoencoder=read("vae", diffusers.AutoencoderKL, **plain).to(device),
        unet=unet,
        controlnet=controlnet,
        text_encoder=read("text_encoder", transformers.CLIPTextModel).to(device),
        tokenizer=read("tokenizer", transformers.CLIPTokenizer),
        prediction=read("scheduler", diffusers.DDIMScheduler).config.prediction_type,
        latent_condition=controlnet is not None and controlnet.config.conditioning_channels == unet.config.in_channels,
    )
