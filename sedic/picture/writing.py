"""Pictures to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .bounds import PictureError


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
