"""What a model's file really is, where it is not the model that its name says: said by name, not "fetch it again".

A download may be a web page, a refusal, or a pointer to the weights; a checkpoint may be that of a relative, or packed
in fewer bits than the class reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_HEAD = 2048  # bytes read of a file
_SMALL = 1 << 20  # bytes: no weights are smaller, a page or a refusal is
_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".gguf")
_TEXTS = (*_WEIGHTS, ".json", ".txt", ".jinja")
_GATED = re.compile(
    rb"gated|restricted|access to (the )?model|you need to (agree|share|accept)|authori[sz]ed list|"
    rb"invalid username or password|repository not found|401 client error|403 forbidden|must be authenticated",
    re.IGNORECASE,
)
# Relatives, by the names of their tensors, with what to take instead.
_RELATIVES = (
    (
        r"(^|\.)(hf_token|hf_mlp|compress_vit_feat|embedding_maskfeature)\b",
        "SAM-HQ, whose mask decoder has parts that this one lacks",
        "take sam_vit_b, sam_vit_l or sam_vit_h of Segment Anything",
    ),
    (
        r"^image_encoder\.(layers\.\d+\.blocks|patch_embed\.seq)\b",
        "MobileSAM, which has another image encoder",
        "take sam_vit_b, sam_vit_l or sam_vit_h of Segment Anything",
    ),
    (
        r"^(image_encoder\.trunk|memory_attention|memory_encoder|sam_mask_decoder|detector\.|tracker\.)",
        "SAM 2 or later in its authors' own form",
        "take it as a folder of transformers, such as sam2.1-hiera-tiny",
    ),
    (
        r"^image_encoder\.(image_encoder|backbone|model)\b|^model\.\d+\.conv\b",
        "EfficientSAM, FastSAM or another relative of Segment Anything",
        "take sam_vit_b, sam_vit_l or sam_vit_h of Segment Anything",
    ),
)
_PACKED = re.compile(
    r"\.(SCB|weight_format|absmax|quant_map|quant_state.*|nested_absmax|qweight|qzeros|scales|g_idx|weight_packed|"
    r"weight_scale(_inv)?|scale_weight|input_scale|weight_zero_point|_packed_params.*|comfy_quant)$|^scaled_fp8$"
)


def impostor(path: Path) -> str:
    """What a file, or one inside a folder, is instead of a model, with what to do; "" where nothing shows."""
    for file in _files(path):
        try:
            size = file.stat().st_size
            with file.open("rb") as opened:
                head = opened.read(_HEAD)
        except OSError:  # told where it is read in earnest
            continue
        if head.startswith(b"version https://git-lfs"):
            return f"{file} is a pointer of Git LFS, not the file; run git lfs pull in its folder, or fetch it again"
        if size > _SMALL:
            continue
        page = head.lstrip()[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml"))
        refusal = (page or not head.startswith((b"{", b"["))) and file.suffix != ".txt" and file.suffix != ".jinja"
        if refusal and _GATED.search(head):
            return (
                f"{file} is a refusal in place of the file: the model is gated; accept its licence on its page, log in "
                "(hf auth login), and fetch it again"
            )
        if page:
            return f"{file} is a web page in place of the file; fetch it again by the page's download link"
    if path.is_dir() and (path / "config.json").is_file():
        names = [file.name for file in _files(path)]
        if any(name.endswith(".gguf") for name in names) and not any(name.endswith(_WEIGHTS[:2]) for name in names):
            return (
                f"{path} holds quantised weights (GGUF), which transformers does not run here; take the folder as it "
                "is published in full, or serve these by llama.cpp and name it as an endpoint"
            )
    return ""


def relative(tensors: Mapping[str, Any]) -> str:
    """What other kind of checkpoint tensors are, with what to take instead; "" where nothing shows."""
    if any(_PACKED.search(name) for name in tensors) or any(_packed_type(tensor) for tensor in tensors.values()):
        return (
            "quantised weights, which are packed in fewer bits than is read here; take the file that is not quantised"
        )
    for pattern, what, instead in _RELATIVES:
        if any(re.search(pattern, name) for name in tensors):
            return f"a checkpoint of {what}; {instead}"
    return ""


def quantised(folder: Path) -> str:
    """By what method a transformers folder's weights are packed, as its config.json says; "" where they are not."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return next(_methods(config), "")


def without_weights(folder: Path) -> bool:
    """Whether a folder describes a model and holds none of its weights, as where these are gated."""
    return not any(file.suffix in _WEIGHTS for file in _files(folder))


def _methods(config: object, depth: int = 2) -> Iterator[str]:
    if not isinstance(config, dict):
        return
    packed = config.get("quantization_config")
    if isinstance(packed, dict):
        yield str(packed.get("quant_method") or "another method")
    for value in config.values() if depth else ():
        yield from _methods(value, depth - 1)


def _packed_type(tensor: Any) -> bool:
    kind = str(getattr(tensor, "dtype", ""))
    return "float8" in kind or (kind in ("torch.int8", "torch.uint8") and getattr(tensor, "ndim", 0) > 1)


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    return [file for file in sorted(path.iterdir()) if file.is_file() and file.suffix in _TEXTS]
