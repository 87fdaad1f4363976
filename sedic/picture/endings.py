"""Which files of a folder are pictures: the endings of what the reader opens."""

from __future__ import annotations

from importlib.util import find_spec

ALWAYS = frozenset(
    [".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc"]
    + [".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi"]
    + [".tga", ".tif", ".tiff", ".webp"]
)
_JPEG_XL = ".jxl"


def picture_endings() -> frozenset[str]:
    """Endings, in small letters, of a folder's pictures; a file that is named itself is read whatever it is called.

    HEIC is among them without its package, too: whoever has a phone's pictures is told of each what it needs.
    """
    return ALWAYS | {_JPEG_XL} if find_spec("pillow_jxl") else ALWAYS
