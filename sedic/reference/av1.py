"""AV1 still pictures as the reference: no weights, the same on every machine by AV1's standard.

The picture is shrunk, coded by libaom through Pillow, and stripped to its frame (``obu.py``). The decoder puts the
boxes back, lets Pillow decode the AVIF and enlarges it. Payload: one byte for the shrinking factor, one for the
switches of the sequence header, then the frame.

Why 4:4:4 and ``tune=psnr``: at 0.018 bit per pixel full chroma gains 0.2 dB (RGB, Kodak), and Pillow's default
tuning spends so much on detail, which the restorer paints anyway, that a third of the pictures do not fit at half size.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, features

from .obu import SequenceHeader, build_avif, strip_avif
from .registry import CodecError, check_image, check_quality, check_size

_SCALES = (1, 2, 3, 4, 6, 8)  # shrinking factors
_SEARCH_SPEED = 6
_FINAL_SPEED = 2  # libaom's slower tools gain 0.3 dB over the search's
_FINALISTS = 2
_MAX_CODED_PIXELS = 1 << 21  # keeps the search within a minute whatever the picture
_CODER = {"tune": "psnr", "enable-cdef": "1"}


class Av1:
    """AV1 within a budget: ``quality`` is the most that it spends, in thousandths of a bit per pixel of the original.

    18 is 884 bytes for 768×512. A quality is a promise about bytes; the best PSNR within it is searched for.
    """

    name = "av1"
    id = 1
    default_quality = 18
    qualities = range(1, 256)

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
        _check_pillow()
        smallest, quality = _smallest(Image.fromarray(image))
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
        _check_pillow()
        budget = self.most_bytes(quality, (image.shape[1], image.shape[0]))
        original = Image.fromarray(image)
        found = _search(original, image, budget)
        if not found:
            size = f"{image.shape[1]}×{image.shape[0]}"
            needed = self.least_quality(image)
            raise CodecError(f"av1:{quality} is too little for this picture of {size}; use av1:{needed} or more.")
        finals = []
        for _, scale, coarse in sorted(found, reverse=True)[:_FINALISTS]:
            _, data = _fit(partial(_code, _shrink(original, scale), scale, _FINAL_SPEED), budget, coarse)
            if data:
                finals.append((_psnr(image, self.decode(data, original.size, quality)), data))
        if finals:
            return max(finals)[1]
        # the slow encoder overshot where the fast one just fitted
        _, scale, coarse = max(found)
        return _code(_shrink(original, scale), scale, _SEARCH_SPEED, coarse)

    def decode(self, data: bytes, size: tuple[int, int], quality: int) -> np.ndarray:
        """The picture at ``size`` = (width, height), as (H, W, 3) uint8; ``quality`` plays no part.

        Raises:
            CodecError: the bytes are damaged, or the size is out of range.
        """
        check_size(size)
        _check_pillow()
        if len(data) < 3 or data[0] not in _SCALES:
            raise CodecError("The reference's bytes are no AV1 picture; fetch the file again.")
        header = SequenceHeader.from_flags(*_coded_size(size, data[0]), data[1])
        try:
            with Image.open(io.BytesIO(build_avif(header, data[2:])), formats=["AVIF"]) as image:
                if image.size != (header.width, header.height):
                    raise CodecError(f"The reference holds a picture of {image.size}; fetch the file again.")
                return np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))
        # what Pillow's AVIF decoder raises for the different ways in which a stream can be wrong
        except (OSError, SyntaxError, ValueError, EOFError, RuntimeError, MemoryError) as error:
            raise CodecError(f"The reference's AV1 picture is damaged ({error}); fetch the file again.") from error


def _search(original: Image.Image, image: np.ndarray, budget: int) -> list[tuple[float, int, int]]:
    """(PSNR in dB, scale, Pillow quality) of the scales that fit, found with the fast encoder.

    From the coarsest scale to finer ones, until two in a row have made it worse or nothing fits any more: so full
    size, which costs most time, is tried only where the budget is large enough for it to win (on Kodak from
    0.05 bit per pixel).
    """
    found: list[tuple[float, int, int]] = []
    best = -math.inf
    worse = 0
    start = 40
    for scale in reversed(_SCALES):
        width, height = _coded_size(original.size, scale)
        if found and width * height > _MAX_CODED_PIXELS:
            break
        quality, data = _fit(partial(_code, _shrink(original, scale), scale, _SEARCH_SPEED), budget, start)
        if not data:
            if found:
                break
            continue
        psnr = _psnr(image, Av1().decode(data, original.size, 0))
        found.append((psnr, scale, quality))
        worse = worse + 1 if psnr < best else 0
        best = max(best, psnr)
        if worse == 2:
            break
        start = quality
    return found


def _fit(code: Callable[[int], bytes], budget: int, start: int) -> tuple[int, bytes]:
    """The highest Pillow quality (0..100) whose bytes fit, and the bytes; (-1, b"") where none does.

    Bisection, from a bracket that grows around ``start``: bytes grow with quality, but for noise of a byte or two.
    """
    known: dict[int, bytes] = {}

    def fits(quality: int) -> bool:
        known[quality] = code(quality)
        return len(known[quality]) <= budget

    low, high, step = -1, 101, 1
    quality = start
    while low < 0 or high > 100:
        if fits(quality):
            low = quality
        else:
            high = quality
        if low == 100 or high == 0:
            break
        quality = min(100, low + step) if low >= 0 else max(0, high - step)
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low, known.get(low, b"")


def _code(shrunk: Image.Image, scale: int, speed: int, quality: int) -> bytes:
    """The payload of a shrunk picture at a Pillow ``quality``."""
    buffer = io.BytesIO()
    try:
        shrunk.save(
            buffer, "AVIF", quality=quality, speed=speed, subsampling="4:4:4", range="full", codec="aom",
            max_threads=1, autotiling=False, advanced=_CODER,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError) as error:
        raise CodecError(
            f"This Pillow cannot write the AV1 reference ({error}); install Pillow's own wheel: "
            'pip install --force-reinstall "pillow>=11.3".'
        ) from error
    header, frame = strip_avif(buffer.getvalue())
    return bytes([scale, header.flags]) + frame


def _shrink(image: Image.Image, scale: int) -> Image.Image:
    return image.resize(_coded_size(image.size, scale), Image.Resampling.LANCZOS)


def _coded_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """(width, height) after shrinking by ``scale``, rounded up."""
    return -(-size[0] // scale), -(-size[1] // scale)


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float32) - b) ** 2, dtype=np.float64)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _smallest(original: Image.Image) -> tuple[int, int]:
    """The bytes of the smallest payload, and the lowest quality whose budget it fits into."""
    smallest = min(len(_code(_shrink(original, scale), scale, _SEARCH_SPEED, 0)) for scale in _SCALES[-2:])
    return smallest, math.ceil(8000 * smallest / (original.width * original.height))


def _check_pillow() -> None:
    if not features.check("avif"):
        raise CodecError('This Pillow has no AVIF; install one that has: pip install --upgrade "pillow>=11.3".')
