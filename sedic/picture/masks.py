"""A mask, from wherever it comes, as (H, W) bool; and what is odd about the masks of a picture."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .arrays import CHANNELS, is_array, numbers_of
from .bounds import PictureError, require_size
from .inside import Inside, inside
from .levels import PHOTOMETRIC, RINGING
from .metadata import read_tags, upright
from .opening import opened

WHOLE = 0.98  # share of the picture from which on a mask says nothing about a place
BORDER = 2 / 3  # share of the picture's border that a thing in it hardly touches
HOLED = 0.85  # likewise, of the opaque part that is left where somebody erased the thing
PAINT = re.compile(r"clipspace-paint(ed)?-\d")


def read_mask(source: Any, size: tuple[int, int] | None = None, what: str = "") -> np.ndarray:
    """Reads a mask, (H, W) bool, True inside.

    Inside is: where it is opaque, if its transparency varies (where it is transparent, in what ComfyUI's mask editor
    saves and where somebody erased a hole); else what is not black or 0, cut at the half where edges are smooth. What
    can be read otherwise is told with :func:`warnings.warn`.

    Args:
        source: a path; a binary file; a Pillow picture; an array or tensor, (H, W) of bool, integers or floats, or with
            1 to 4 channels behind, or one of these in a batch of one.
        size: (width, height) that it must have.
        what: its name, at the beginning of sentences; None takes the path's.

    Raises:
        PictureError: unreadable, not one mask, or of another size.
    """
    if is_array(source):
        what = what or "The mask"
        read = _of_array(numbers_of(source, what), what)
    elif isinstance(source, Image.Image):
        what = what or "The mask"
        require_size(what, *source.size)
        read = _of_picture(source, what, str(getattr(source, "filename", "")))
    else:
        path = fspath(source) if isinstance(source, str | PathLike) else ""
        what = what or (f"The mask {path}" if path else "The mask")
        if path and not Path(path).exists():
            raise PictureError(f"{what} cannot be read (there is no such file); check the name.")
        with opened(source, what, "cannot be read") as image:
            read = _of_picture(image, what, path)
    if size and read.mask.shape[::-1] != tuple(size):
        found = "×".join(map(str, read.mask.shape[::-1]))
        turned = read.mask.shape == tuple(size) and " (the picture was turned as its EXIF orientation says)"
        raise PictureError(
            f"{what} is {found}, the picture {size[0]}×{size[1]}{turned or ''}; make them the same size."
        )
    for note in read.notes:
        warnings.warn(f"{what} {note}.", stacklevel=2)
    return read.mask


def odd_masks(names: Sequence[str], masks: Sequence[np.ndarray | None]) -> list[str]:
    """A sentence for each mask that guides nothing or looks like its opposite; the earlier object wins a pixel.

    Args:
        names: of the objects.
        masks: theirs, (H, W) bool of one size, or None.
    """
    told = []
    taken: np.ndarray | None = None
    for name, mask in zip(names, masks, strict=True):
        if mask is None:
            continue
        if not mask.any():
            told.append(f"The mask of {name!r} is empty, so its stage is skipped; paint it white where the object is.")
        elif mask.mean() >= WHOLE:
            told.append(
                f"The mask of {name!r} covers {_percent(mask)} of the picture, so it says nothing about a place."
            )
        elif taken is not None and not (mask & ~taken).any():
            told.append(
                f"The mask of {name!r} lies wholly under those of earlier objects, which win, so nothing is left of "
                "it; put it before them."
            )
        elif looks_inverted(mask):
            told.append(inverted(name, mask))
        taken = mask if taken is None else taken | mask
    return told


def looks_inverted(mask: np.ndarray) -> bool:
    """Whether a mask, (H, W) bool, takes most of the picture's border, as the surroundings of a thing do."""
    return _border(mask) >= BORDER and mask.mean() < WHOLE


def inverted(name: str, mask: np.ndarray) -> str:
    """What to say of one that looks so."""
    share = f"{_percent(mask)} of the picture and most of its border"
    return f"The mask of {name!r} covers {share}: it looks inverted; white is taken as inside."


def _of_picture(image: Image.Image, what: str, path: str) -> Inside:
    tags = read_tags(image, what)
    if image.format == "TIFF" and image.mode.startswith("I") and getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0:
        image = Image.fromarray(65535 - np.asarray(image))  # WhiteIsZero, which Pillow undoes up to eight bits only
    image = upright(image, tags)
    if image.mode == "F" or image.mode.startswith("I"):
        return _of_channels(_levels(np.asarray(image), what)[..., None], path)
    if image.has_transparency_data or image.mode in ("RGBa", "La"):
        return _of_channels(np.asarray(image.convert("RGBA")), path)
    if image.mode == "P":
        return _of_palette(image)
    return _of_channels(np.asarray(image.convert("RGB")), path)


def _of_palette(image: Image.Image) -> Inside:
    """By its colours, where some one of them is black or all are grey; by its numbers where colours say nothing."""
    numbers, rgb = np.asarray(image), np.asarray(image.convert("RGB"))
    used, places = np.unique(numbers, return_index=True)
    colours = rgb.reshape(-1, 3)[places]
    black = used[~colours.any(1)]
    grey = (colours == colours[:, :1]).all() and len(np.unique(colours)) == len(used)
    if len(used) == 1 or len(black) == 1 or grey or 0 not in used:
        return _of_channels(rgb, "")
    return Inside(numbers != 0, ("is a picture of numbered colours: all but number 0 are taken as inside",))


def _of_array(values: np.ndarray, what: str) -> Inside:
    shape = "×".join(map(str, values.shape))
    while values.ndim > 2 and len(values) == 1:
        values = values[0]
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in CHANNELS or not values.size:
        raise PictureError(f"{what} is an array of {shape}; give one mask, height × width.")
    require_size(what, values.shape[1], values.shape[0])
    return _of_channels(_levels(values, what), "")


def _levels(values: np.ndarray, what: str) -> np.ndarray:
    """The numbers as they are, floats in 0 … 1 as 0 … 255, so that a label of one in 255 is one.

    Raises:
        PictureError: not finite, or below 0.
    """
    if values.dtype == bool:
        return values.astype(np.uint8)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise PictureError(f"{what} holds values that are no numbers (NaN or infinite); repair what made it.")
    floats = values.dtype.kind == "f"
    # Enlarging overshoots black and white a little.
    if low < (-RINGING if floats and high <= 1 + RINGING else 0):
        raise PictureError(f"{what} holds values from {low:.4g} to {high:.4g}; give 0 outside and more than 0 inside.")
    if not floats:
        return values
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8) if high <= 1 + RINGING else np.clip(values, 0, None)


def _of_channels(values: np.ndarray, path: str) -> Inside:
    """(H, W, C), C being grey, grey and alpha, colour, or colour and alpha."""
    channels = values.shape[2]
    if channels in (2, 4):
        alpha = values[..., -1]
        if alpha.min() < alpha.max():
            return _of_alpha(alpha, path)
        if _is_clipspace(path):
            return Inside(np.zeros(alpha.shape, bool))
        values = values[..., : channels - 1]
    if values.shape[2] == 1 or (values == values[..., :1]).all():
        return inside(values[..., 0])
    bits, kind = (8, np.uint32) if values.dtype == np.uint8 else (20, np.int64)
    red, green, blue = (np.rint(values[..., c]).astype(kind) for c in range(3))
    return inside(values.max(2), red << 2 * bits | green << bits | blue)


def _of_alpha(alpha: np.ndarray, path: str) -> Inside:
    read = inside(alpha)
    if _is_clipspace(path):
        note = "comes from ComfyUI's mask editor: its transparent part is taken as inside"
        return Inside(~read.mask, (*read.notes, note))
    if _border(read.mask) >= HOLED and read.mask.mean() < WHOLE:
        note = (
            "is opaque along its border: the transparent hole is taken as inside, as ComfyUI's mask editor and "
            "erasers leave it"
        )
        return Inside(~read.mask, (*read.notes, note))
    return read


def _is_clipspace(path: str) -> bool:
    """By file or folder; the layers of paint that the editor saves beside the mask are none."""
    parts = Path(path).parts[-2:]
    return any("clipspace" in part.lower() for part in parts) and not PAINT.match(parts[-1])


def _border(mask: np.ndarray) -> float:
    """Share of the border that the mask takes."""
    return float(np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]]).mean())


def _percent(mask: np.ndarray) -> str:
    return f"{mask.mean():.0%}"
