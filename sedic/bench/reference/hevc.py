"""HEVC intra as BPG uses it: x265 at its slowest, tuned for PSNR, one picture, counted without parameter sets."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from ...errors import SedicError
from .rivals import Coded

SPEED, FORMATS = "placebo", ("yuv420p", "yuv444p")
_FIRST_PARAMETER_SET = 32  # nal_unit_type of slices lies below (H.265, table 7-1)
# One picture of the given quantiser (x265 would lower that of key frames), on one thread, no text in the stream.
_PARAMETERS = "keyint=1:ipratio=1:aq-mode=0:info=0:pools=none:frame-threads=1:log-level=none"


class Hevc:
    """x265's intra pictures; a step of the quantiser is a step of QP."""

    name = "hevc"
    quantisers = tuple(range(31, 52))
    least_side = 64

    def __init__(self, formats: tuple[str, ...] = FORMATS) -> None:
        """``formats``: FFmpeg's names of planar 8-bit pixel formats, of which the best is taken.

        Raises:
            SedicError: no PyAV, or one without x265.
        """
        try:
            import av

            av.Codec("libx265", "w")
        except (ImportError, ValueError) as error:
            raise SedicError(f'HEVC is coded by PyAV\'s x265 ({error}): pip install "sedic[bench]".') from error
        self.variants = formats

    @property
    def version(self) -> str:
        """Of what decides the bytes."""
        import av

        return f"av {av.__version__} {self.variants}"

    def code(self, picture: Image.Image, quantiser: float, variant: str) -> Coded:
        """An RGB picture at a QP in a pixel format: bytes of its slices, and the picture that comes back."""
        stream = _encode(picture, int(quantiser), variant)
        return Coded(slice_bytes(stream), _decode(stream))


def slice_bytes(stream: bytes) -> int:
    """Bytes of an Annex B stream's slices without start codes; parameter sets follow from the picture's size."""
    units = [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1")[1:]]
    return sum(len(unit) for unit in units if unit[0] >> 1 & 63 < _FIRST_PARAMETER_SET)


def _encode(picture: Image.Image, quantiser: int, form: str) -> bytes:
    import av

    width, height = picture.size
    planes = list(picture.convert("YCbCr").split())
    frame = av.VideoFrame(width, height, form)
    frame.pts = 0
    for plane, values in zip(frame.planes, planes, strict=True):
        if values.size != (plane.width, plane.height):
            values = values.resize((plane.width, plane.height), Image.Resampling.LANCZOS)
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = np.asarray(values)
        plane.update(rows.tobytes())
    context: Any = av.CodecContext.create("libx265", "w")
    context.width, context.height, context.pix_fmt, context.time_base = width, height, form, Fraction(1)
    context.options = {"preset": SPEED, "tune": "psnr", "x265-params": f"qp={quantiser}:{_PARAMETERS}"}
    return b"".join(bytes(packet) for part in (frame, None) for packet in context.encode(part))


def _decode(stream: bytes) -> Image.Image:
    import av

    context: Any = av.CodecContext.create("hevc", "r")
    context.thread_count = 1
    frames: list[Any] = [*context.decode(av.Packet(stream)), *context.decode(None)]
    frame = frames[0]
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        image = Image.fromarray(np.ascontiguousarray(rows))
        planes.append(image.resize((frame.width, frame.height), Image.Resampling.BICUBIC))
    return Image.merge("YCbCr", planes).convert("RGB")
