"""Reading and writing pictures: whatever a camera or an editor saves, as plain 8-bit RGB."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .errors import SedicError


class PictureError(SedicError):
    """A picture cannot be read or written."""


def read_picture(path: Path) -> np.ndarray:
    """Reads a picture as (H, W, 3) uint8 sRGB, turned as its EXIF orientation says.

    Transparency is composited on white with a warning; grey, 16-bit and CMYK pictures are converted.

    Raises:
        PictureError: missing, or not a picture that Pillow can decode.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError as error:
        raise PictureError(f"There is no picture {path}; check the name.") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path} is not a picture that can be read ({error}); save it as PNG or JPEG.") from error


def to_rgb(image: Image.Image) -> np.ndarray:
    """Any Pillow picture as (H, W, 3) uint8."""
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image, dtype=np.float64)
        peak = 65535 if image.mode.startswith("I") else 1
        image = Image.fromarray(np.clip(levels / peak * 255 + 0.5, 0, 255).astype(np.uint8))
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        warnings.warn("The picture is transparent in places; they are filled with white.", stacklevel=3)
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Writes (H, W, 3) or (H, W) uint8 in the format of the path's ending, whole or not at all.

    Raises:
        PictureError: the folder cannot be written to, or the ending names no picture format.
    """
    partial = path.parent / f".{path.name}.partial{path.suffix}"
    try:
        Image.fromarray(pixels).save(partial)
        partial.replace(path)
    except (OSError, ValueError, KeyError) as error:  # KeyError: a format that Pillow reads only
        if partial.exists():
            partial.unlink()
        raise PictureError(f"{path} cannot be written ({error}); name a writable folder and end in .png.") from error
