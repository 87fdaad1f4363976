"""The codecs that can stand behind the reference: what they promise, and how they are found by name or number.

A codec turns a picture into a few hundred bytes and back. Its number (``id``) and the quality go into the file, so
a number is never given away twice; two names may share one where they write the same kind of stream. To add a codec,
write one file beside this one and one line in ``_CODECS``.

>>> codec, quality = parse_reference("av1:20")
>>> codec.name, codec.id, quality
('av1', 1, 20)
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import SedicError

DEFAULT_CODEC = "compact"
MIN_SIDE = 16
MAX_SIDE = 16384
MAX_PIXELS = 1 << 26


class CodecError(SedicError):
    """A reference cannot be written or read: unknown codec or quality, missing weights, damaged bytes."""


class ReferenceCodec(Protocol):
    """What the file needs of an image codec.

    Attributes:
        name: as typed on the command line.
        id: 1..31, as written into the file.
        default_quality: used where nobody chose one.
        qualities: all that there are; what a step means is the codec's own matter.
    """

    name: str
    id: int
    default_quality: int
    qualities: range

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        """The reference of ``image``, (H, W, 3) uint8 sRGB, as bytes; CodecError when that is impossible."""
        ...

    def decode(self, data: bytes, size: tuple[int, int], quality: int) -> np.ndarray:
        """The picture in ``data`` at ``size`` = (width, height): (H, W, 3) uint8; CodecError for damaged bytes."""
        ...

    def fingerprint(self, quality: int) -> bytes:
        """Four bytes or one naming the weights, which both ends must share; b"" for a codec without weights."""
        ...

    def least_quality(self, image: np.ndarray) -> int:
        """The lowest quality that can hold ``image``; CodecError where none can."""
        ...

    def most_bytes(self, quality: int, size: tuple[int, int]) -> int | None:
        """What a picture of ``size`` = (width, height) takes at most; None where only encoding it tells."""
        ...


# name -> (number in the file, module beside this one, class); modules are imported when their codec is asked for.
_CODECS = {
    "av1": (1, "av1", "Av1"),
    "av1-slow": (1, "av1", "Av1Slow"),  # another search for the same stream
    "cheng2020-attn": (2, "cheng2020", "Cheng2020Attention"),
    "compact-1": (3, "compact", "CompactFirst"),  # what compact was before: its files stay readable
    "compact": (4, "compact", "Compact"),
    "compact-slow": (4, "compact", "CompactSlow"),  # another search for the same stream
}


def codec_names() -> tuple[str, ...]:
    """Names of all codecs, the default first."""
    return tuple(sorted(_CODECS, key=lambda name: (name != DEFAULT_CODEC, _CODECS[name][0])))


def codec_by_name(name: str, models: Path | None = None) -> ReferenceCodec:
    """The codec called ``name``; ``models`` is the folder with the user's weights, where a codec needs any.

    Raises:
        CodecError: there is none of that name.
    """
    if name not in _CODECS:
        raise CodecError(f"There is no reference codec {name!r}; choose one of {', '.join(codec_names())}.")
    _, module, cls = _CODECS[name]
    return getattr(importlib.import_module(f".{module}", __package__), cls)(models)


def codec_by_id(id: int, models: Path | None = None) -> ReferenceCodec:
    """The codec with the number that a file names; ``models`` as for :func:`codec_by_name`.

    Raises:
        CodecError: there is none of that number.
    """
    for name, (number, _, _) in _CODECS.items():
        if number == id:
            return codec_by_name(name, models)
    names = {number: name for name, (number, _, _) in reversed(_CODECS.items())}
    known = ", ".join(f"{number} ({names[number]})" for number in sorted(names))
    raise CodecError(f"The file's reference codec has the number {id}, known are {known}; update sedic to read it.")


def parse_reference(text: str, models: Path | None = None) -> tuple[ReferenceCodec, int]:
    """``NAME[:QUALITY]``, as people type it, to the codec and a quality that it has.

    Raises:
        CodecError: unknown name, or a quality that is no number or that the codec has not.
    """
    name, colon, number = text.strip().partition(":")
    codec = codec_by_name(name, models)
    if not colon:
        return codec, codec.default_quality
    try:
        quality = int(number)
    except ValueError:
        first, last = codec.qualities[0], codec.qualities[-1]
        raise CodecError(
            f"{number!r} in {text!r} is no quality; write a whole number, for {name} {first} to {last}."
        ) from None
    check_quality(codec, quality)
    return codec, quality


def check_quality(codec: ReferenceCodec, quality: int) -> None:
    """Raises CodecError, naming the range, when ``codec`` has no such ``quality``."""
    if quality not in codec.qualities:
        first, last = codec.qualities[0], codec.qualities[-1]
        raise CodecError(f"{codec.name} has no quality {quality}; choose one of {first} to {last}.")


def check_size(size: tuple[int, int]) -> None:
    """Raises CodecError for a (width, height) that no reference has, before anything is allocated for it."""
    width, height = size
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise CodecError(
            f"The picture is {width}×{height}; each side must have {MIN_SIDE} to {MAX_SIDE} pixels and "
            f"the whole at most {MAX_PIXELS}: enlarge or shrink it."
        )


def check_image(image: np.ndarray) -> None:
    """Raises CodecError unless ``image`` is (H, W, 3) uint8 of an allowed size."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise CodecError(
            f"The picture is an array of shape {image.shape} and type {image.dtype}; give (height, width, 3) uint8."
        )
    check_size((image.shape[1], image.shape[0]))
