"""What a picture file says beside its pixels: what is obeyed, and what a ``.sedic`` file does not keep."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from PIL import ExifTags, Image

ORIENTATION = 0x0112
LATITUDE, LONGITUDE = 2, 4  # of the GPS tags
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What a person may miss: EXIF's tags, the keys of ``Image.info``, and what to call them.
KEPT_BY_NAME = (
    ("its date", (0x9003, 0x9004, 0x0132), ()),
    ("its author", (0x013B, 0x8298), ("Author", "Copyright")),
    ("its description", (0x010E, 0x9286, 0x9C9B, 0x9C9C), ("Title", "Description", "Comment", "comment")),
    ("its keywords", (0x9C9E, 0x4746), ("photoshop",)),
    ("the workflow that made it", (), ("workflow", "prompt", "parameters")),
    ("its XMP data", (), ("xmp", "XML:com.adobe.xmp")),
)


class Tags(NamedTuple):
    """EXIF, by number.

    Attributes:
        orientation: 2 to 8 where it has to be turned; else it is upright.
        adobe_rgb: whether a camera says so where it writes no profile: DCF's optional colour space.
        main: of the picture and of how it was taken.
        place: of the GPS.
    """

    orientation: int
    adobe_rgb: bool
    main: dict[int, Any]
    place: dict[int, Any]


def read_tags(image: Image.Image, what: str) -> Tags:
    """The EXIF tags; damaged ones are told, and the picture is left as it lies."""
    try:
        exif = image.getexif()
        main = {**dict(exif), **exif.get_ifd(ExifTags.IFD.Exif)}
        orientation = exif.get(ORIENTATION, 1)
        if image.format == "JXL" and not getattr(image, "jpeg", False):
            orientation = 1  # its stream has one of its own, which its decoder obeys; EXIF's counts in a JPEG within it
        adobe_rgb = exif.get_ifd(ExifTags.IFD.Interop).get(1) == "R03"
        place = dict(exif.get_ifd(ExifTags.IFD.GPSInfo))
    except Exception as error:  # whatever damaged bytes make the parser do: Pillow promises no kind
        warnings.warn(f"{what} has EXIF data that cannot be read ({error}); it is taken as upright.", stacklevel=2)
        return Tags(1, False, {}, {})
    return Tags(orientation, adobe_rgb, main, place)


def upright(image: Image.Image, tags: Tags) -> Image.Image:
    """A picture as its orientation says; what Pillow has turned already (TIFF, AVIF, HEIC) has none left."""
    turn = TURNS.get(tags.orientation)
    return image if turn is None else image.transpose(turn)


def tell_dropped(image: Image.Image, tags: Tags, what: str) -> None:
    """Says which data a person may miss in a ``.sedic`` file, which holds none; nothing of the camera's own."""
    dropped = [
        said
        for said, numbers, keys in KEPT_BY_NAME
        if any(_says(tags.main.get(n)) for n in numbers) or any(_says(image.info.get(k)) for k in keys)
    ]
    if any(_says(tags.place.get(n)) for n in (LATITUDE, LONGITUDE)):
        dropped.insert(0, "the place where it was taken")
    if dropped:
        warnings.warn(f"{what} tells {', '.join(dropped)}; a .sedic file does not keep that.", stacklevel=2)


def _says(value: Any) -> bool:
    """Cameras fill tags with blanks."""
    return bool(value.strip(b" \0") if isinstance(value, bytes) else str(value or "").strip(" \0"))
