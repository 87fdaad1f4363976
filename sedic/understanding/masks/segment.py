"""A box into a mask: Segment Anything (arXiv:2304.02643), SAM 2 (arXiv:2408.00714), or GrabCut where there is no model.

Checkpoints of Segment Anything come as ``sam_vit_b/l/h`` files (``sam_original``) or as transformers folders, those of
SAM 2 as folders; all are local files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ...errors import SedicError
from ..checkpoints import ModelError, load_folder, model_type, read_tensors, require

TINY = 0.001  # share of the picture: a smaller mask costs more bits than it can guide
SAM2_TYPES = ("sam2", "sam2_video")  # published folders name the model for videos, of which that for pictures is a part
TYPES = ("sam", *SAM2_TYPES)
SOURCE = (
    "github.com/facebookresearch/segment-anything (sam_vit_b_01ec64.pth) or as a folder "
    "from huggingface.co/facebook/sam-vit-base or sam2.1-hiera-tiny"
)
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's in 8 bits, as in training
GRABCUT_SIDE = 768  # pixels: GrabCut's time grows with the area, its outline hardly gains


class MaskError(SedicError):
    """A mask or a box cannot be used."""


class Segmenter(Protocol):
    """What turns boxes into a mask.

    Attributes:
        model: a network in evaluation mode; the caller may move it to a device.
    """

    model: Any

    def mask(self, image: np.ndarray, boxes: Sequence[Sequence[float]]) -> np.ndarray:
        """The things inside the boxes as one mask.

        Args:
            image: (H, W, 3) uint8.
            boxes: (x0, y0, x1, y1) in pixels, at least one.

        Returns:
            (H, W) bool, the union over the boxes.
        """
        ...


class FolderSegmenter:
    """A Segment Anything or SAM 2 model loaded from a transformers folder; a :class:`Segmenter`.

    Attributes:
        model: transformers' ``SamModel`` or ``Sam2Model``, in evaluation mode; the caller may move it to a device.
        pads: whether the model sees a picture in its own shape, with a margin (SAM), or stretched to a square (SAM 2).
    """

    def __init__(self, model: Any, pads: bool = True) -> None:
        """See the class."""
        self.model, self.pads = model, pads

    def mask(self, image: np.ndarray, boxes: Sequence[Sequence[float]]) -> np.ndarray:
        """The union of the boxes' masks, (H, W) bool; see :class:`Segmenter`."""
        import torch
        from torch.nn.functional import interpolate

        height, width = image.shape[:2]
        side = _side(self.model.config.prompt_encoder_config.image_size)
        pixels, (inner_height, inner_width) = _pixels(image, side, self.pads)
        scaled = np.array(boxes, np.float32) * np.array([inner_width / width, inner_height / height] * 2, np.float32)
        device, dtype = self.model.device, self.model.dtype
        with torch.no_grad():
            logits = self.model(
                pixel_values=pixels.to(device, dtype),
                input_boxes=torch.from_numpy(scaled[None]).to(device, dtype),  # 1, boxes, 4
                multimask_output=False,  # a box leaves no doubt which of part and whole is meant
            ).pred_masks[0]  # boxes, 1, h, w
        full = interpolate(logits.float(), (side, side), mode="bilinear", align_corners=False)
        full = full[..., :inner_height, :inner_width]  # without the padding
        full = interpolate(full, (height, width), mode="bilinear", align_corners=False)
        return (full[:, 0] > 0).any(dim=0).cpu().numpy()


def load_segmenter(path: Path) -> Segmenter:
    """Loads a segmenter onto the CPU, from local files only.

    Args:
        path: a transformers folder, or an original ``.pth`` or ``.safetensors`` checkpoint.

    Raises:
        ModelError: missing (file, folder and source are named), damaged, of another kind, or its package is missing.
    """
    require(path, "The Segment Anything checkpoint", SOURCE)
    if not path.is_dir():
        return _original(path)
    if model_type(path) not in TYPES:
        raise ModelError(f"The folder {path} holds no Segment Anything model; get one from {SOURCE}.")
    if model_type(path) in SAM2_TYPES:
        return FolderSegmenter(load_folder(_sam2(path), path, "SAM 2"), pads=False)
    from transformers import SamModel

    return FolderSegmenter(load_folder(SamModel, path, "Segment Anything"))


def _original(path: Path) -> Segmenter:
    try:
        from .sam_original import load_original
    except ImportError as error:
        raise ModelError(
            f"{path} is read by the packages segment-anything and torchvision ({error}): "
            "pip install segment-anything torchvision, or take a SAM as a transformers folder."
        ) from error
    return load_original(read_tensors(path, "Segment Anything"), path)


def _sam2(path: Path) -> Any:
    try:
        from transformers import Sam2Model
    except ImportError as error:
        from transformers import __version__

        raise ModelError(
            f"The folder {path} holds SAM 2, which transformers {__version__} does not know; "
            "update transformers to 4.56 or newer, or take a SAM."
        ) from error
    return Sam2Model


def grabcut(image: np.ndarray, box: Sequence[float], iterations: int = 5) -> np.ndarray:
    """The thing inside a box, by colour alone (GrabCut, Rother et al. 2004), the same at every call.

    Args:
        image: (H, W, 3) uint8.
        box: (x0, y0, x1, y1) in pixels; what lies outside is background.
        iterations: rounds of colour model and cut.

    Returns:
        (H, W) bool; the box itself where colour tells nothing apart in it.

    Raises:
        MaskError: the box is not inside the picture, or less than two pixels wide or high.
    """
    import cv2

    height, width = image.shape[:2]
    x0, y0, x1, y1 = inside(box, width, height)
    scale = min(1.0, GRABCUT_SIDE / max(height, width))
    shape = max(3, round(width * scale)), max(3, round(height * scale))
    small = cv2.resize(image[..., ::-1], shape, interpolation=cv2.INTER_AREA) if scale < 1 else image[..., ::-1]
    rows, columns = small.shape[:2]
    # A frame of one pixel stays background, or a box around everything would leave GrabCut nothing to compare with.
    left, right = _span(x0 * columns / width, x1 * columns / width, columns)
    top, bottom = _span(y0 * rows / height, y1 * rows / height, rows)
    labels = np.full((rows, columns), cv2.GC_BGD, np.uint8)
    labels[top:bottom, left:right] = cv2.GC_PR_FGD
    outside, within = np.zeros((1, 65)), np.zeros((1, 65))  # colour models, filled by OpenCV
    around = (left, top, right - left, bottom - top)
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(np.ascontiguousarray(small), labels, around, outside, within, iterations, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # too few pixels for its colour models
        labels[top:bottom, left:right] = cv2.GC_PR_FGD
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if found.sum() < 0.05 * (bottom - top) * (right - left):
        found[top:bottom, left:right] = True
    if scale < 1:
        found = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    return found


def inside(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    """``box`` cut to the picture; MaskError unless at least two pixels each way are left."""
    if len(box) != 4 or not all(np.isfinite(box)):
        raise MaskError(f"The box {tuple(box)} must be four numbers x0 y0 x1 y1 in pixels.")
    x0, y0, x1, y1 = box
    x0, x1 = max(0.0, float(x0)), min(float(width), float(x1))
    y0, y1 = max(0.0, float(y0)), min(float(height), float(y1))
    if x1 - x0 < 2 or y1 - y0 < 2:
        shown = " ".join(f"{value:g}" for value in box)
        raise MaskError(
            f"The box {shown} leaves nothing of the {width}×{height} picture; give x0 y0 x1 y1 with x0 < x1, y0 < y1."
        )
    return x0, y0, x1, y1


def fill_holes(mask: np.ndarray, most: float = TINY) -> np.ndarray:
    """``mask``, (H, W) bool, with holes of at most ``most`` of the picture filled; openings to the border are none."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    border = set(np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])))
    small = [i for i in range(1, count) if i not in border and stats[i, cv2.CC_STAT_AREA] <= most * mask.size]
    return mask | np.isin(labels, small)


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Whole pixels from ``low`` to ``high`` which leave one free at either end and are at least one."""
    first = min(max(1, round(low)), size - 2)
    return first, max(first + 1, min(size - 1, round(high)))


def _side(size: Any) -> int:
    """A configuration's image_size, which is a number or twice the same."""
    return int(size if isinstance(size, int) else size[0])


def _pixels(image: np.ndarray, side: int, pads: bool) -> tuple[Any, tuple[int, int]]:
    """The picture as the model wants it, (1, 3, side, side) float32, and the size of its part with the picture."""
    import torch

    height, width = image.shape[:2]
    scale = side / max(height, width)
    inner = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))) if pads else (side, side)
    picture = Image.fromarray(image).resize(inner[::-1], Image.Resampling.BILINEAR)
    padded = np.zeros((side, side, 3), np.float32)
    padded[: inner[0], : inner[1]] = (np.asarray(picture) - np.array(MEAN, np.float32)) / np.array(
        DEVIATION, np.float32
    )
    return torch.from_numpy(padded.transpose(2, 0, 1)[None].copy()), inner
