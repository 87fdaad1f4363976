"""Reading and writing pictures: whatever a camera or an editor saves, as plain 8-bit RGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from . import output
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
    data = picture_bytes(pixels, picture_format(path), str(path))
    try:
        output.write(path, data)
    except output.OutputError as error:
        raise PictureError(str(error)) from error.__cause__


def picture_bytes(pixels: np.ndarray, format: str, name: str = "The picture") -> bytes:
    """(H, W, 3) or (H, W) uint8 as a file of one of Pillow's formats; ``name`` is for the error.

    Raises:
        PictureError: the format does not hold it.
    """
    stream = io.BytesIO()
    try:
        Image.fromarray(pixels).save(stream, format)
    except (OSError, ValueError, KeyError) as error:
        raise PictureError(f"{name} cannot be written as {format} ({error}); end in .png.") from error
    return stream.getvalue()


def picture_format(path: Path) -> str:
    """Pillow's name of the format that a path's ending names; PNG for devices, FIFOs and the like without one.

    Raises:
        PictureError: the ending names no picture format, or one that cannot be written.
    """
    format = Image.registered_extensions().get(path.suffix.lower())
    if format in Image.SAVE and path.suffix.lower() != ".sedic":
        return str(format)
    if output.is_stream(path):
        return "PNG"
    raise PictureError(f"{path} cannot be written: its ending names no format of pictures; end in .png.")
