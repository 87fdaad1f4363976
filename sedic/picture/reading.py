"""A picture, from wherever it comes, as (H, W, 3) uint8 sRGB."""

from __future__ import annotations

import warnings
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .arrays import is_array, picture_of
from .bounds import PictureError, require_size
from .color import to_srgb
from .containers import REACH
from .levels import planes
from .metadata import Tags, read_tags, tell_dropped, upright
from .opening import add_colours, opened

UNNAMED = "The picture"


def read_picture(source: Any, metadata: bool = True) -> np.ndarray:
    """Reads a picture as (H, W, 3) uint8 sRGB, turned as its EXIF orientation says.

    Colour profiles are obeyed and any mode is converted; transparency is composited on white. What a person may not
    expect is told with :func:`warnings.warn`: docs/pictures-and-masks.md has the table.

    Args:
        source: a path; a binary file; a Pillow picture; an array or tensor, (H, W), (H, W, C), (C, H, W) or one of
            these in a batch of one: uint8, uint16, bool, or floats in 0 … 1.
        metadata: whether to tell of date, place, author and the like, which a ``.sedic`` file does not keep.

    Raises:
        PictureError: missing, not a picture that can be decoded, or too large.
    """
    if isinstance(source, Image.Image):
        if source.format and getattr(source, "filename", "") and Path(source.filename).is_file():  # type: ignore[attr-defined]
            with open(source.filename, "rb") as file:  # type: ignore[attr-defined]
                add_colours(source, file.read(REACH))
        return to_rgb(source)
    if is_array(source):
        return to_rgb(picture_of(source, UNNAMED))
    if not isinstance(source, str | PathLike) and not hasattr(source, "read"):
        raise PictureError(f"The picture is a {type(source).__name__}; give a path, a Pillow picture or an array.")
    name = fspath(source) if isinstance(source, str | PathLike) else getattr(source, "name", None)
    what = name if isinstance(name, str) else UNNAMED
    with opened(source, what) as image:
        tags = read_tags(image, what)
        if metadata:
            tell_dropped(image, tags, what)
        return _converted(image, tags, what)


def to_rgb(image: Image.Image, what: str = UNNAMED) -> np.ndarray:
    """Any Pillow picture as (H, W, 3) uint8 sRGB, upright; ``what`` names it at the beginning of sentences.

    Raises:
        PictureError: HDR, too large, or of numbers that are no levels.
    """
    require_size(what, *image.size)
    return _converted(image, read_tags(image, what), what)


def _converted(image: Image.Image, tags: Tags, what: str) -> np.ndarray:
    base, alpha = planes(image, what, image.info.get("raw_mode", ""))
    colours = to_srgb(base, {**image.info, "adobe_rgb": tags.adobe_rgb}, what)
    if alpha is not None:
        warnings.warn(f"{what} is transparent in places; they are filled with white.", stacklevel=3)
        colours = Image.composite(colours, Image.new("RGB", colours.size, "white"), alpha)
    return np.array(upright(colours, tags))
