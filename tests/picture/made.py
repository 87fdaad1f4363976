"""Files of every kind, made from a few numbers: ICC profiles, PNGs chunk by chunk, TIFFs tag by tag."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sedic.picture import read_picture

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = (0.3127, 0.3290)
P3 = (D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = (D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PROPHOTO = ((0.3457, 0.3585), (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
REC_709 = (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def lights(space: Sequence[tuple[float, float]]) -> np.ndarray:
    """Columns: CIE XYZ under D50 of the three primaries of (white, red, green, blue)."""
    white, *primaries = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in space)
    matrix = np.stack(primaries, 1)
    matrix *= np.linalg.solve(matrix, white)
    return np.linalg.inv(CONES) @ np.diag((CONES @ D50) / (CONES @ white)) @ CONES @ matrix


def seen(colour: Sequence[int], space: Sequence[tuple[float, float]], gamma: float) -> np.ndarray:
    """The sRGB levels, as floats, of a colour in another space; ``gamma`` 0 is sRGB's curve."""
    c = np.array(colour) / 255
    light = c**gamma if gamma else np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    light = np.clip(np.linalg.inv(lights(REC_709)) @ lights(space) @ light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(float(v) * 65536)) for v in values)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x", 128 + len(table) + len(body), 0x02400000, kind, space, connection, b"acsp"
    )
    return (header + _fixed(*D50)).ljust(128, b"\0") + table + body


def rgb_profile(space: Sequence[tuple[float, float]], gamma: float, cicp: bytes = b"") -> bytes:
    """Primaries and an exponent; 0 is sRGB's curve. ``cicp``: four code points, which it then also tells."""
    if gamma:
        curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    else:
        curve = b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50)}
    for c, column in zip((b"r", b"g", b"b"), lights(space).T, strict=True):
        tags |= {c + b"XYZ": b"XYZ \0\0\0\0" + _fixed(*column), c + b"TRC": curve}
    if cicp:
        tags |= {b"cicp": b"cicp\0\0\0\0" + cicp}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50), b"kTRC": curve})


def cmyk_profile() -> bytes:
    """A printer whose cyan is a grey of L* = 50, and whose other inks are black."""
    nodes = bytearray()
    for c in (0, 1):
        for others in range(8):
            nodes += bytes((0 if others else (128 if c else 255), 128, 128))
    straight = bytes(range(256))
    table = b"mft1\0\0\0\0\4\3\2\0" + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + straight * 4 + bytes(nodes) + straight * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50), b"A2B0": table})


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """``kind``: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA; ``rows`` without filter bytes."""
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height))
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    parts = [header, *chunks, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def png_of(pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """(H, W) or (H, W, 3), uint8 or uint16."""
    deep = pixels.dtype == np.uint16
    rows = pixels.astype(">u2").tobytes() if deep else pixels.tobytes()
    return png(pixels.shape[1], pixels.shape[0], 16 if deep else 8, 0 if pixels.ndim == 2 else 2, rows, *chunks)


def tiff(width: int, height: int, bits: int, photometric: int, data: bytes, *more: tuple[int, int]) -> bytes:
    """One channel, little endian, one strip; ``more``: further tags with short values."""
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(data)}
    tags |= dict(more)
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    data += bytes(len(data) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + rows + bytes(4)


def read(path: Path, **options: bool) -> tuple[np.ndarray, str]:
    """The pixels as ints, and everything that was told."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pixels = read_picture(path, **options)
    assert pixels.dtype == np.uint8
    return pixels.astype(int), " ".join(str(w.message) for w in told if issubclass(w.category, UserWarning))
