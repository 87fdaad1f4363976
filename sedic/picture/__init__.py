"""The one reader of pictures and of masks: whatever a camera, an editor or a program hands over, as plain arrays.

A picture becomes (H, W, 3) uint8 sRGB, upright; a mask (H, W) bool. What cannot be read as it was meant is refused in
one sentence (:class:`PictureError`) or read with a word about it (:func:`warnings.warn`). ``opening`` finds the format,
``levels`` brings any mode to eight bits, ``color`` obeys profiles, ``arrays`` takes arrays and tensors, ``inside``
says which part of a mask is meant, ``endings`` which files of a folder are pictures. docs/pictures-and-masks.md is the
table of kinds.
"""

from .bounds import MOST_PIXELS, MOST_SIDE, PictureError
from .endings import picture_endings
from .masks import read_mask
from .reading import read_picture, to_rgb
from .writing import picture_bytes, picture_format, write_picture

__all__ = [
    "MOST_PIXELS",
    "MOST_SIDE",
    "PictureError",
    "picture_bytes",
    "picture_endings",
    "picture_format",
    "read_mask",
    "read_picture",
    "to_rgb",
    "write_picture",
]
