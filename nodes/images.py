"""Between ComfyUI's IMAGE and MASK tensors and the library's arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from comfy_api.latest import ui
from torch import Tensor

from ..sedic.errors import SedicError
from ..sedic.picture import read_mask, read_picture


@contextmanager
def heard(notes: list[str]) -> Iterator[None]:
    """Collects what the library tells about its input, for the node to show."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
    notes += [str(w.message) for w in told if issubclass(w.category, UserWarning)]


def to_pixels(image: Tensor) -> np.ndarray:
    """An IMAGE of one picture, (1, H, W, C) in [0, 1], as (H, W, 3) uint8; transparent places become white.

    Raises:
        SedicError: several pictures, or not numbers in that range.
    """
    if image.ndim == 4 and len(image) > 1:
        raise SedicError(f"Here is room for one picture, and {len(image)} came as a batch; take one of them.")
    return read_picture(image)


def to_image(pixels: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 as an IMAGE, (1, H, W, 3) in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).float().div(255)[None]


def to_mask(mask: np.ndarray) -> Tensor:
    """(H, W) bool as a MASK, (1, H, W) in {0, 1}."""
    return torch.from_numpy(np.ascontiguousarray(mask)).float()[None]


def shades(mask: Tensor, what: str) -> Tensor:
    """A MASK in [0, 1]: one mask as (H, W), several as (B, H, W); numbers beyond that range become 0 and 1.

    Raises:
        SedicError: it holds no mask.
    """
    if mask.ndim < 2 or not mask.numel():
        raise SedicError(f"{what} is empty ({'×'.join(map(str, mask.shape))}); wire a MASK.")
    rows = mask.reshape(-1, *mask.shape[-2:])
    if not (rows.is_floating_point() and bool(((rows >= 0) & (rows <= 1)).all())):
        rows = torch.stack([torch.from_numpy(read_mask(row, what=what)).float() for row in rows])
    return rows[0] if len(rows) == 1 else rows


def mask_for(mask: Tensor, size: tuple[int, int], what: str) -> np.ndarray:
    """First of a MASK as (H, W) bool of the picture's ``size``, (height, width); what it was not is told.

    Raises:
        SedicError: it holds no mask.
    """
    masks = shades(mask, what)
    if masks.ndim == 3:
        warnings.warn(f"{what} holds {len(masks)} masks; the first is taken.", stacklevel=2)
        masks = masks[0]
    read = read_mask(masks, what=what)
    if read.shape == tuple(size):
        return read
    if read.any():  # an empty one of 64×64 is what Load Image gives where nothing was painted
        sizes = ["×".join(map(str, shape[::-1])) for shape in (read.shape, size)]
        warnings.warn(f"{what} is {sizes[0]}, the picture {sizes[1]}: it is stretched over it.", stacklevel=2)
    grown = torch.nn.functional.interpolate(to_mask(read)[None], tuple(size), mode="bilinear")
    return (grown[0, 0] > 0.5).numpy()


def kept_for_window(image: Tensor, name: str) -> dict[str, Any]:
    """Writes the first picture of an IMAGE into ComfyUI's temp folder; where the window finds it, and what it is."""
    saved = ui.PreviewImage(image[:1]).as_dict()["images"][0]
    return {"name": name, "file": saved["filename"], "subfolder": saved["subfolder"], "type": saved["type"]}
