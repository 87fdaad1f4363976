"""AV1 still pictures as the reference: no weights, the same on every machine by AV1's standard.

The picture is shrunk, coded by libaom through Pillow, and stripped to its frame (``../obu.py``). The decoder puts the
boxes back, lets Pillow decode the AVIF and enlarges it. Payload (``stream.py``): one byte for the shrinking factor, one
for the switches of the sequence header, then the frame. ``search.py`` looks for the best one within a budget: the whole
factor first, then the quantiser and a fraction that spend what is left, since one quantiser to the next is up to a
tenth of the bytes.

What was tried at 0.018 bit per pixel on photographs of CLIC and CID22 (RGB, mean of 7 or 8; dB against what is used):
4:2:0 -0.16; ``tune`` ssim 0.00, iq -0.28; quantiser matrices -0.17; adaptive quantisation, delta q, superblocks of 128,
palettes, chroma's own quantiser between -0.01 and 0.00; no CDEF -0.05; sharpness 3 -0.04; scales between the whole
ones below 0.01 where all are tried; shrinking by a box 0.00, bicubic -0.02, least squares against the enlarging filter
-0.01; enlarging bicubic 0.00, bilinear -0.02. The rest is the time that the search takes: ``av1`` is quick,
``av1-slow`` is not.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from ..registry import CodecError, check_image, check_quality, check_size
from . import stream
from .search import Round, best_within


class Av1:
    """AV1 within a budget: ``quality`` is the most that it spends, in thousandths of a bit per pixel of the original.

    18 is 884 bytes for 768×512. A quality is a promise about bytes; the best PSNR within it is searched for.
    """

    name = "av1"
    id = 1
    default_quality = 18
    qualities = range(1, 256)
    _search_speed = 8
    _rounds: tuple[Round, ...] = (Round(6, 3), Round(4, 1, fill=True))

    def __init__(self, models: Path | None = None) -> None:
        """``models`` is not used: there are no weights."""

    def fingerprint(self, quality: int) -> bytes:
        """b"": there are no weights."""
        return b""

    def most_bytes(self, quality: int, size: tuple[int, int]) -> int:
        """The budget that a quality is."""
        return quality * size[0] * size[1] // 8000

    def least_quality(self, image: np.ndarray) -> int:
        """The lowest budget that a picture, (H, W, 3) uint8, fits into.

        Raises:
            CodecError: the picture is out of range, or none is large enough.
        """
        check_image(image)
        stream.check_pillow()
        smallest, quality = _smallest(Image.fromarray(image), self._search_speed)
        if quality > self.qualities[-1]:
            raise CodecError(
                f"A picture of {image.shape[1]}×{image.shape[0]} is too small for av1, which needs {smallest} bytes "
                "for it; enlarge the picture."
            )
        return quality

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        """``image``, (H, W, 3) uint8, as at most ``quality``/1000 bit per pixel.

        Raises:
            CodecError: the picture or quality is out of range, or the budget too small for this picture.
        """
        check_image(image)
        check_quality(self, quality)
        stream.check_pillow()
        data = self.within(image, self.most_bytes(quality, (image.shape[1], image.shape[0])))
        if not data:
            size = f"{image.shape[1]}×{image.shape[0]}"
            needed = self.least_quality(image)
            raise CodecError(f"av1:{quality} is too little for this picture of {size}; use av1:{needed} or more.")
        return data

    def within(self, image: np.ndarray, budget: int) -> bytes:
        """The best payload of at most ``budget`` bytes; b"" where none is as small."""
        return best_within(image, budget, self._search_speed, self._rounds)

    def decode(self, data: bytes, size: tuple[int, int], quality: int) -> np.ndarray:
        """The picture at ``size`` = (width, height), as (H, W, 3) uint8; ``quality`` plays no part.

        Raises:
            CodecError: the bytes are damaged, or the size is out of range.
        """
        check_size(size)
        return stream.read(data, size)


class Av1Slow(Av1):
    """The same stream, searched for with libaom at its slowest: several seconds a picture.

    Nobody's default. It is the mark that learned codecs are measured against.
    """

    name = "av1-slow"
    _search_speed = 6
    _rounds = (
        Round(3, 2),
        Round(1, 2, fill=True, tunings=("psnr", "ssim")),
        Round(0, 1, fill=True),
    )


def _smallest(original: Image.Image, speed: int) -> tuple[int, int]:
    """The bytes of the smallest payload, and the lowest quality whose budget it fits into."""
    smallest = min(len(stream.write(original, scale, speed, "psnr", stream.COARSEST)) for scale in stream.SCALES[-2:])
    return smallest, math.ceil(8000 * smallest / (original.width * original.height))
