"""What a program hands over: a picture in any form that has one, and words as a person would write them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .errors import SedicError
from .picture import read_picture, to_rgb
from .semantics import SceneObject, Semantics, SemanticsError, read_mask


def picture_of(image: Any) -> np.ndarray:
    """A picture as (H, W, 3) uint8 sRGB.

    Args:
        image: a path, a PIL picture, or an array or tensor (H, W, 3): uint8, or floats in [0, 1].

    Raises:
        SedicError: it is none of these.
    """
    if isinstance(image, str | os.PathLike):
        return read_picture(Path(image))
    if isinstance(image, Image.Image):
        return to_rgb(ImageOps.exif_transpose(image))
    pixels = _array(image)
    if pixels.ndim == 4 and len(pixels) == 1:  # a batch of one, as ComfyUI's
        pixels = pixels[0]
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 2, 3, 4)):
        if pixels.dtype.kind == "f" and pixels.size and 0 <= pixels.min() <= pixels.max() <= 1:
            pixels = np.round(pixels * 255).astype(np.uint8)
        if pixels.dtype == np.uint8:
            plain = pixels.ndim == 3 and pixels.shape[2] == 3
            return np.ascontiguousarray(pixels) if plain else to_rgb(Image.fromarray(np.squeeze(pixels)))
    raise SedicError(
        f"The picture is an array of shape {pixels.shape} and type {pixels.dtype}; give a path, a PIL picture, or "
        "(height, width, 3) uint8, or floats from 0 to 1."
    )


def words_of(words: Any, size: tuple[int, int]) -> Semantics:
    """Words, and masks where there are any, as :class:`Semantics`.

    Args:
        words: Semantics; a string as people type it, a line ``name: detail`` an object and a line ``overall: text``, or
            Semantics JSON; the JSON as a dict, whose masks may be paths, PIL pictures or arrays; the path of a file of
            either kind; None or "" for none.
        size: (width, height) that every mask must have.

    Raises:
        SedicError: none of these, or a mask that cannot be used.
    """
    if isinstance(words, Semantics):
        return words
    if words is None or words == "":
        return Semantics()
    if isinstance(words, os.PathLike):
        path = Path(words)
        if path.suffix.lower() == ".json":
            return Semantics.read(path, size)
        try:
            words = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SemanticsError(f"The words {path} cannot be read ({error}); name a UTF-8 text file.") from error
    if isinstance(words, str):
        from .understanding.words.textualize import typed

        if "\n" not in words and words.lower().endswith((".json", ".txt")) and os.path.exists(words):
            raise SemanticsError(f"The words {words!r} are the name of a file; give pathlib.Path({words!r}).")
        return typed(words)
    if isinstance(words, Mapping):
        return _from_dict(words, size)
    raise SemanticsError(f"The words are a {type(words).__name__}; give a string, a dict or Semantics.")


def _from_dict(words: Mapping[str, Any], size: tuple[int, int]) -> Semantics:
    """As the JSON reader has it, but for the masks, which need not be files."""
    rows = words.get("objects", [])
    rows = list(rows) if isinstance(rows, list | tuple) else rows
    masks, bare = [], rows
    if isinstance(rows, list):
        masks = [row.get("mask") if isinstance(row, Mapping) else None for row in rows]
        bare = [{k: v for k, v in row.items() if k != "mask"} if isinstance(row, Mapping) else row for row in rows]
    try:
        text = json.dumps({**words, "objects": bare})
    except (TypeError, ValueError) as error:
        raise SemanticsError(f"The words hold what no JSON does ({error}); see the example in the README.") from error
    read = Semantics.from_json(text)
    objects = (
        SceneObject(o.name, o.detail, None if mask is None else _mask_of(mask, o.name, size))
        for o, mask in zip(read.objects, masks, strict=True)
    )
    return Semantics(read.overall, tuple(objects))


def _mask_of(mask: Any, name: str, size: tuple[int, int]) -> np.ndarray:
    if isinstance(mask, str | os.PathLike):
        return read_mask(Path(mask), size)
    values = np.asarray(mask.convert("L")) if isinstance(mask, Image.Image) else _array(mask)
    if values.ndim == 3 and len(values) == 1:  # a batch of one, as ComfyUI's
        values = values[0]
    if values.shape != size[::-1]:
        raise SemanticsError(
            f"The mask of {name!r} has the shape {values.shape}, the picture is {size[0]}×{size[1]}; make them the "
            "same size."
        )
    return values > (0.5 if values.dtype.kind == "f" else 127) if values.dtype != bool else values


def _array(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):  # a tensor, on whatever device
        values = values.detach().cpu().numpy()
    return np.asarray(values)
