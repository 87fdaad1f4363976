"""What files say about their colours and Pillow passes over: PNG's cICP, and the ``colr`` box of AVIF, HEIC, JPEG 2000.

Nothing here decodes pixels; at most the file's first ``REACH`` bytes are looked at.
"""

from __future__ import annotations

import re
import struct
from typing import Any, NamedTuple

REACH = 1 << 20  # bytes: colours are told before the pixels; an ICC profile of a printer has half of that
PNG = b"\x89PNG\r\n\x1a\n"
JPEG_2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HDR = {16: "PQ", 18: "HLG"}  # by their code points
# First bytes of what people hand over and Pillow cannot open, and what to do with it.
STRANGERS = (
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "it is JPEG XL: pip install pillow-jxl-plugin, or save it as PNG"),
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


def told_colours(head: bytes) -> dict[str, Any]:
    """From a file's first bytes: ``cicp`` (:class:`CodePoints`), ``icc_profile``; what is not told is not in it."""
    if head.startswith(PNG):
        return _of_png(head)
    if head[4:8] == b"ftyp" or head.startswith(JPEG_2000):
        return _of_boxes(head)
    return {}


def told_hdr(told: dict[str, Any]) -> bool:
    """Whether the colours are those of an HDR picture."""
    return "cicp" in told and told["cicp"].transfer in HDR


def is_heic(head: bytes) -> bool:
    """Whether only ``pillow-heif`` can open it; AVIF has other brands."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS and b"avif" not in head[8:64]


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
    """The first ``colr`` boxes; they lie in the header, which comes before the pixels."""
    told: dict[str, Any] = {}
    for found in re.finditer(rb"colr", head):
        start, size = found.end(), int.from_bytes(head[found.start() - 4 : found.start()], "big")
        body = head[start : start + size - 8]
        if body.startswith(b"nclx") and len(body) >= 11:
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            told.setdefault("cicp", CodePoints(primaries, transfer))  # the decoder has brought it to full range
        elif body[:4] in (b"prof", b"rICC"):
            told.setdefault("icc_profile", body[4:])
        elif head.startswith(JPEG_2000) and body[:1] == b"\2" and len(body) > 131:  # a restricted ICC profile
            told.setdefault("icc_profile", body[3:])
    return told
