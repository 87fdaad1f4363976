"""Pictures to files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from .. import output
from .bounds import PictureError


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
        # PNG's usual 6 takes twice the time of 4, and makes files 0 to 4 % smaller.
        Image.fromarray(pixels).save(stream, format, **{"compress_level": 4} if format == "PNG" else {})
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
