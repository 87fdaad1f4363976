"""A payload of ``av1``, written and read: one byte for the shrinking factor, one of switches, then the frame."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, features

from ..obu import SequenceHeader, build_avif, strip_avif
from ..registry import CodecError

SCALES = (1, 2, 3, 4, 6, 8)  # shrinking factors, as the first byte says them
PARTS = 32  # first bytes from here on are shrinking factors in parts of 32: 72 is 2.25
COARSEST = 63  # of libaom's quantisers
_CODER = {"enable-cdef": "1"}


def write(original: Image.Image, scale: int, speed: int, tuning: str, quantiser: int) -> bytes:
    """:func:`code` of a picture that is not shrunk yet."""
    return code(shrink(original, scale), scale, speed, tuning, quantiser)


def shrink(original: Image.Image, scale: int) -> Image.Image:
    """The picture as it is coded behind this first byte."""
    return original.resize(coded_size(original.size, scale), Image.Resampling.LANCZOS)


def code(shrunk: Image.Image, scale: int, speed: int, tuning: str, quantiser: int) -> bytes:
    """The payload of a picture shrunk by ``scale``, a first byte, at one of libaom's quantisers, 0..63.

    Raises:
        CodecError: this Pillow cannot write it.
    """
    buffer = io.BytesIO()
    quality = round((COARSEST - quantiser) * 100 / COARSEST)  # Pillow's, which libavif turns into the quantiser again
    try:
        shrunk.save(
            buffer, "AVIF", quality=quality, speed=speed, subsampling="4:4:4", range="full", codec="aom",
            max_threads=1, autotiling=False, advanced={**_CODER, "tune": tuning},
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError) as error:
        raise CodecError(
            f"This Pillow cannot write the AV1 reference ({error}); install Pillow's own wheel: "
            'pip install --force-reinstall "pillow>=11.3".'
        ) from error
    header, frame = strip_avif(buffer.getvalue())
    return bytes([scale, header.flags]) + frame


def read(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """The picture of a payload at ``size`` = (width, height), as (H, W, 3) uint8.

    Raises:
        CodecError: the bytes are damaged.
    """
    check_pillow()
    if len(data) < 3 or (data[0] not in SCALES and data[0] < PARTS):
        raise CodecError("The reference's bytes are no AV1 picture; fetch the file again.")
    header = SequenceHeader.from_flags(*coded_size(size, data[0]), data[1])
    try:
        with Image.open(io.BytesIO(build_avif(header, data[2:])), formats=["AVIF"]) as image:
            if image.size != (header.width, header.height):
                raise CodecError(f"The reference holds a picture of {image.size}; fetch the file again.")
            return np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    # what Pillow's AVIF decoder raises for the different ways in which a stream can be wrong
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError, MemoryError) as error:
        raise CodecError(f"The reference's AV1 picture is damaged ({error}); fetch the file again.") from error


def coded_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """(width, height) after shrinking by ``scale``, the first byte of a payload; rounded up."""
    parts = in_parts(scale)
    return -(-size[0] * PARTS // parts), -(-size[1] * PARTS // parts)


def in_parts(scale: int) -> int:
    """A shrinking factor, as the first byte says it, in parts of :data:`PARTS`."""
    return scale if scale >= PARTS else scale * PARTS


def check_pillow() -> None:
    """Raises CodecError for a Pillow without AVIF."""
    if not features.check("avif"):
        raise CodecError('This Pillow has no AVIF; install one that has: pip install --upgrade "pillow>=11.3".')
