"""From a file to Pillow's picture: known formats, a bearable size, the first frame, and what is left behind."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from .bounds import MOST_PIXELS, PictureError, require_size
from .containers import REACH, is_heic, is_jpeg_xl, told_colours, told_hdr, why_unknown

DRAWINGS = ("EPS", "WMF", "EMF")
LAYERED = ("PSD", "ICO", "ICNS", "XCF")  # several pictures in one file, of which Pillow takes the whole or the largest
PREVIEW = 254, 1  # TIFF's NewSubfileType, and its bit for a reduced copy of another picture
DNG_VERSION = 50706


@contextmanager
def opened(source: Any, what: str, wrong: str = "is not a picture that can be read") -> Iterator[Image.Image]:
    """The first picture of a file, decoded; ``info`` also holds ``cicp`` and ``raw_mode``.

    Args:
        source: a path, or a binary file that can be read from its beginning.
        what: the picture's name, at the beginning of sentences.
        wrong: what a sentence says of one that cannot be decoded.

    Raises:
        PictureError: absent, not a picture that can be decoded, cut, or larger than any file holds.
    """
    path = Path(fspath(source)) if isinstance(source, str | PathLike) else None
    try:
        stream = path.open("rb") if path else io.BytesIO(source.read())
    except FileNotFoundError as error:
        raise PictureError(f"There is no picture {what}; check the name.") from error
    except OSError as error:
        raise PictureError(f"{what} {wrong} ({error}); name a picture file.") from error
    with stream:
        if not stream.seekable():  # a pipe
            stream = io.BytesIO(stream.read())
        head = stream.read(REACH)
        stream.seek(0)
        image = _decoded(stream, head, what, wrong)
        add_colours(image, head)
        yield image


def add_colours(image: Image.Image, head: bytes) -> None:
    """Writes into ``info`` what a file's first bytes say of its colours beyond what Pillow reads."""
    told = told_colours(head)
    if image.format != "PNG" and (image.info.get("icc_profile") or "icc_profile" in told) and not told_hdr(told):
        told.pop("cicp", None)  # in the boxes of AVIF and HEIC a profile goes before the code points
    for key, value in told.items():
        image.info.setdefault(key, value)


def _decoded(stream: Any, head: bytes, what: str, wrong: str) -> Image.Image:
    if is_heic(head):
        _require_heif(what)
    elif is_jpeg_xl(head):
        with suppress(ImportError):  # without it Pillow does not know the file, and the sentence on that names it
            import_module("pillow_jxl")
    try:
        image = Image.open(stream)
        require_size(what, *image.size)
        if image.format in DRAWINGS:
            raise PictureError(f"{what} is a drawing ({image.format}); export it as PNG.")
        _require_a_picture(image, what)
        _tell_frames(image, what)
        raw_mode = image.tile[0][3] if image.tile else ""
        image.load()
        image.info["raw_mode"] = raw_mode[0] if isinstance(raw_mode, tuple) else raw_mode
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(f"{what} has more than the {MOST_PIXELS} pixels that fit; make it smaller.") from error
    except UnidentifiedImageError as error:
        why = why_unknown(head) or "save it as PNG or JPEG"
        told = "empty" if not head else "its format is unknown, or its beginning damaged"
        raise PictureError(f"{what} {wrong} ({told}); {why}.") from error
    except Exception as error:  # whatever damaged bytes make a decoder do: Pillow promises no kind
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PictureError(f"{what} {wrong} ({reason}); get the file again or save it as PNG or JPEG.") from error
    return image


def _require_heif(what: str) -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise PictureError(
            f"{what} is HEIC, which needs another package: pip install pillow-heif, or save it as PNG or JPEG."
        ) from error
    pillow_heif.register_heif_opener()


def _require_a_picture(image: Image.Image, what: str) -> None:
    """Cameras' raw files are TIFFs, too, whose first picture may be a stamp of the photograph."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None and (DNG_VERSION in tags or tags.get(PREVIEW[0], 0) == PREVIEW[1]):
        raise PictureError(
            f"{what} is a camera's raw file or begins with a preview ({image.width}×{image.height}); develop it "
            "to PNG or JPEG."
        )


def _tell_frames(image: Image.Image, what: str) -> None:
    if image.format == "SEDIC":
        warnings.warn(
            f"{what} is a .sedic file: its blurred reference is read; sedic decode restores the picture.",
            stacklevel=2,
        )
    if image.format in LAYERED:
        return
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        kind = "pictures (a phone's second one is its HDR map)" if image.format == "MPO" else "frames or pages"
        warnings.warn(f"{what} holds {frames} {kind}; the first is read, the others are left out.", stacklevel=2)
