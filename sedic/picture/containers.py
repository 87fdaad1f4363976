"""What files say about their colours and Pillow passes over: PNG's cICP, and the ``colr`` box of AVIF, HEIC, JPEG 2000.

Nothing here decodes pixels; at most the file's first ``REACH`` bytes are looked at.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

REACH = 1 << 20  # bytes: colours are told before the pixels; an ICC profile of a printer has half of that
PNG = b"\x89PNG\r\n\x1a\n"
JPEG_2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
JPEG_XL = rb"\xff\x0a|\0\0\0\x0cJXL "  # its bare stream, and its container
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HDR = {16: "PQ", 18: "HLG"}  # by their code points
# First bytes of what people hand over and Pillow alone cannot open, and what to do with it.
STRANGERS = (
    (JPEG_XL, "it is JPEG XL: pip install pillow-jxl-plugin, or save it as PNG"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg", "it is a drawing (SVG): export it as PNG"),
    (rb"%PDF", "it is a PDF: export the page as PNG"),
    (rb"....ftypcrx |FUJIFILMCCD-RAW|II(U\0|RS|RO)|\0MRM", "it is a camera's raw file: develop it to PNG or JPEG"),
    (rb"II[*+]\0|MM\0[*+]", "TIFFs of float or 12-bit colours are not read: save it as 8- or 16-bit PNG"),
    (rb"\xff\xd8\xff", "JPEGs of 12 bits or without loss are not read: save it as PNG"),
    (rb"\x76\x2f\x31\x01|#\?RADIANCE|#\?RGBE", "it is a picture of light (HDR): save an SDR copy as PNG"),
)


class CodePoints(NamedTuple):
    """How pixels stand for light, in the numbers of ITU-T H.273."""

    primaries: int
    transfer: int
    full_range: bool = True

    @property
    def hdr(self) -> str:
        """The curve's name, of an HDR picture; empty of others."""
        return HDR.get(self.transfer, "")


def told_colours(head: bytes) -> dict[str, Any]:
    """From a file's first bytes: ``cicp`` (:class:`CodePoints`), ``icc_profile``; what is not told is not in it."""
    if head.startswith(PNG):
        return _of_png(head)
    if head[4:8] == b"ftyp" or head.startswith(JPEG_2000):
        return _of_boxes(head)
    return {}


def told_hdr(told: dict[str, Any]) -> bool:
    """Whether the colours are those of an HDR picture."""
    return "cicp" in told and bool(told["cicp"].hdr)


def told_by_profile(icc: bytes) -> CodePoints | None:
    """What an ICC profile's own ``cicp`` tag says (ICC.1:2022), which colour engines pass over."""
    table = icc[132 : 132 + 12 * int.from_bytes(icc[128:132], "big")]
    tags = struct.iter_unpack(">4sII", table[: len(table) // 12 * 12])  # a damaged profile's table may be cut
    body = next((icc[offset : offset + size] for name, offset, size in tags if name == b"cicp"), b"")
    return CodePoints(body[8], body[9], bool(body[11])) if len(body) >= 12 else None


def is_heic(head: bytes) -> bool:
    """Whether only ``pillow-heif`` can open it; AVIF has other brands."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS and b"avif" not in head[8:64]


def is_jpeg_xl(head: bytes) -> bool:
    """Whether only ``pillow-jxl-plugin`` can open it."""
    return re.match(JPEG_XL, head, re.DOTALL) is not None


def why_unknown(head: bytes) -> str:
    """What a file is that Pillow does not know, and what to do with it; empty where nobody can say."""
    return next((said for pattern, said in STRANGERS if re.match(pattern, head, re.DOTALL)), "")


def _of_png(head: bytes) -> dict[str, Any]:
    position = len(PNG)
    while position + 8 <= len(head):
        length, kind = struct.unpack_from(">I4s", head, position)
        body = head[position + 8 : position + 8 + length]
        if kind == b"IDAT":
            break
        if kind == b"cICP" and len(body) >= 4:
            return {"cicp": CodePoints(body[0], body[1], bool(body[3]))}
        position += 12 + length
    return {}


def _of_boxes(head: bytes) -> dict[str, Any]:
    """From the boxes of ISO base media files (ISO/IEC 23008-12) and of JPEG 2000 (ISO/IEC 15444-1)."""
    told: dict[str, Any] = {}
    for body in _of_jpeg_2000(head) if head.startswith(JPEG_2000) else _of_primary_item(head):
        if body.startswith(b"nclx") and len(body) >= 8:
            told.setdefault("cicp", CodePoints(*struct.unpack_from(">HH", body, 4)))  # the decoder gives full range
        elif body[:4] in (b"prof", b"rICC"):
            told.setdefault("icc_profile", body[4:])
        elif head.startswith(JPEG_2000) and body[:1] in (b"\2", b"\3"):
            told.setdefault("icc_profile", body[3:])
    return told


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kinds and contents of boxes that follow one another."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        start = 8
        if size == 1 and position + 16 <= len(data):
            start, size = 16, struct.unpack_from(">Q", data, position + 8)[0]
        end = len(data) if size == 0 else position + max(size, start)
        yield kind, data[position + start : end]
        position = end


def _of_jpeg_2000(head: bytes) -> list[bytes]:
    return [body for kind, inner in _boxes(head) if kind == b"jp2h" for name, body in _boxes(inner) if name == b"colr"]


def _of_primary_item(head: bytes) -> list[bytes]:
    """The ``colr`` boxes of the picture that is shown: a phone's HDR map beside it has others."""
    meta = next((body[4:] for kind, body in _boxes(head) if kind == b"meta"), b"")
    parts = dict(_boxes(meta))
    properties = dict(_boxes(parts.get(b"iprp", b"")))
    items, links = parts.get(b"pitm", b""), properties.get(b"ipma", b"")
    boxes = list(_boxes(properties.get(b"ipco", b"")))
    try:
        primary = struct.unpack_from(">I" if items[0] else ">H", items, 4)[0]
        numbers = _properties_of(primary, links)
    except (struct.error, IndexError):
        return []  # damaged, or not in reach: the decoder says what is wrong
    return [boxes[n - 1][1] for n in numbers if 0 < n <= len(boxes) and boxes[n - 1][0] == b"colr"]


def _properties_of(item: int, links: bytes) -> list[int]:
    """The numbers, from 1, of an item's properties in an ``ipma`` box."""
    wide, long = links[0], links[3] & 1
    (count,) = struct.unpack_from(">I", links, 4)
    position = 8
    for _ in range(count):
        found, number = struct.unpack_from(">IB" if wide else ">HB", links, position)
        position += 5 if wide else 3
        row = struct.unpack_from(f">{number}{'H' if long else 'B'}", links, position)
        position += number << long
        if found == item:
            return [value & (0x7FFF if long else 0x7F) for value in row]  # the uppermost bit: essential
    return []
