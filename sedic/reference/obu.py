"""The bytes around an AV1 frame: taken off by the writer, put back by the reader.

A still picture in an AVIF spends 275 bytes on boxes and a dozen on the sequence header. All of it follows from the
coded size and a few switches, so :func:`strip_avif` keeps the frame and the switches only, and :func:`build_avif`
writes a conforming AVIF around them again.

Section numbers are those of the AV1 Bitstream & Decoding Process Specification (version 1.0.0 with errata 1); boxes
follow ISO/IEC 14496-12 and 23008-12 with the AVIF binding.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from .registry import CodecError

# obu_type, section 6.2.2
_SEQUENCE_HEADER, _TEMPORAL_DELIMITER, _FRAME, _PADDING = 1, 2, 6, 15
_PROFILE = 1  # High: 8-bit 4:4:4 (section 6.4.1)
_LEVEL = 31  # "maximum parameters" (annex A.3): promises no limit, so that none has to be worked out
_BT709, _SRGB, _BT601 = 1, 13, 6  # color_primaries, transfer_characteristics, matrix_coefficients (section 6.4.2)


@dataclass(frozen=True)
class SequenceHeader:
    """What a frame's reader must know, of all that a sequence header says (section 5.5.1).

    The rest is fixed: a reduced still picture of profile 1 (8-bit 4:4:4), BT.709 primaries, sRGB transfer, BT.601
    matrix, full range, no film grain.
    """

    width: int
    height: int
    use_128x128_superblock: bool
    enable_filter_intra: bool
    enable_intra_edge_filter: bool
    enable_superres: bool
    enable_cdef: bool
    enable_restoration: bool
    separate_uv_delta_q: bool

    @property
    def flags(self) -> int:
        """The switches as 7 bits, in the order above, the first one lowest."""
        return sum(getattr(self, name) << i for i, name in enumerate(_SWITCHES))

    @classmethod
    def from_flags(cls, width: int, height: int, flags: int) -> SequenceHeader:
        """The header of a frame of ``width`` × ``height`` coded pixels; CodecError for a switch that is not known."""
        if flags >> len(_SWITCHES):
            raise CodecError(f"The reference's AV1 switches are {flags:#04x}, which this version does not know.")
        return cls(width, height, *(bool(flags >> i & 1) for i in range(len(_SWITCHES))))


_SWITCHES = tuple(field.name for field in fields(SequenceHeader))[2:]


def strip_avif(avif: bytes) -> tuple[SequenceHeader, bytes]:
    """The sequence header and the frame OBU's payload of an encoder's AVIF with one still picture.

    Raises:
        CodecError: the encoder wrote something that :class:`SequenceHeader` cannot express.
    """
    header = frame = None
    for kind, payload in _obus(_box(avif, b"mdat")):
        if kind == _SEQUENCE_HEADER and header is None:
            header = _read_sequence_header(payload)
        elif kind == _FRAME and frame is None:
            frame = payload
        elif kind not in (_TEMPORAL_DELIMITER, _PADDING):
            raise _unexpected(f"an OBU of type {kind}")
    if header is None or frame is None:
        raise _unexpected("no frame or no sequence header")
    return header, frame


def build_avif(header: SequenceHeader, frame: bytes) -> bytes:
    """A minimal AVIF around a frame OBU's payload: what :func:`strip_avif` took off."""
    item = _obu(_SEQUENCE_HEADER, _write_sequence_header(header)) + _obu(_FRAME, frame)
    # seq_profile and level; tier, bit depth, monochrome and subsampling are all 0 for 8-bit 4:4:4
    av1c = bytes([0x81, _PROFILE << 5 | _LEVEL, 0, 0])
    color = b"nclx" + b"".join(_int(v, 2) for v in (_BT709, _SRGB, _BT601)) + b"\x80"
    properties = _make_box(
        b"ipco",
        _full_box(b"ispe", _int(header.width, 4) + _int(header.height, 4)),
        _full_box(b"pixi", bytes([3, 8, 8, 8])),
        _make_box(b"av1C", av1c),
        _make_box(b"colr", color),
    )
    # item 1 has properties 1 to 4; the third, av1C, is marked essential
    association = _full_box(b"ipma", _int(1, 4) + _int(1, 2) + bytes([4, 1, 2, 0x80 | 3, 4]))
    ftyp = _make_box(b"ftyp", b"avif" + _int(0, 4) + b"avifmif1miaf")

    def meta(offset: int) -> bytes:
        return _full_box(
            b"meta",
            _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            _full_box(b"pitm", _int(1, 2)),
            # 4-byte offsets and lengths, no base offset; one item in one extent
            _full_box(
                b"iloc",
                b"\x44\x00" + _int(1, 2) + _int(1, 2) + _int(0, 2) + _int(1, 2) + _int(offset, 4) + _int(len(item), 4),
            ),
            _full_box(b"iinf", _int(1, 2) + _full_box(b"infe", _int(1, 2) + _int(0, 2) + b"av01\0", version=2)),
            _make_box(b"iprp", properties, association),
        )

    return ftyp + meta(len(ftyp) + len(meta(0)) + 8) + _make_box(b"mdat", item)


def _read_sequence_header(payload: bytes) -> SequenceHeader:
    """Section 5.5.1, with reduced_still_picture_header = 1."""
    bits = _Bits(payload)
    profile, still, reduced = bits.read(3), bits.read(1), bits.read(1)
    if (profile, still, reduced) != (_PROFILE, 1, 1):
        raise _unexpected(f"profile {profile}, still_picture {still}, reduced_still_picture_header {reduced}")
    bits.read(5)  # seq_level_idx[0]
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    superblock, filter_intra, edge_filter, superres, cdef, restoration = (bool(bits.read(1)) for _ in range(6))
    # color_config, section 5.5.2; profile 1 has no mono_chrome bit
    high_bitdepth, described = bits.read(1), bits.read(1)
    color = tuple(bits.read(8) for _ in range(3)) if described else None
    full_range, separate_uv = bits.read(1), bool(bits.read(1))
    film_grain = bits.read(1)
    if (high_bitdepth, color, full_range, film_grain) != (0, (_BT709, _SRGB, _BT601), 1, 0):
        raise _unexpected(
            f"high_bitdepth {high_bitdepth}, colour {color}, full range {full_range}, film grain {film_grain}"
        )
    return SequenceHeader(
        width, height, superblock, filter_intra, edge_filter, superres, cdef, restoration, separate_uv
    )


def _write_sequence_header(header: SequenceHeader) -> bytes:
    """Section 5.5.1, bit for bit what :func:`_read_sequence_header` reads, but for the level."""
    width_bits, height_bits = (header.width - 1).bit_length() or 1, (header.height - 1).bit_length() or 1
    fields = [
        (_PROFILE, 3),
        (1, 1),  # still_picture
        (1, 1),  # reduced_still_picture_header
        (_LEVEL, 5),
        (width_bits - 1, 4),
        (height_bits - 1, 4),
        (header.width - 1, width_bits),
        (header.height - 1, height_bits),
        (header.use_128x128_superblock, 1),
        (header.enable_filter_intra, 1),
        (header.enable_intra_edge_filter, 1),
        (header.enable_superres, 1),
        (header.enable_cdef, 1),
        (header.enable_restoration, 1),
        (0, 1),  # high_bitdepth
        (1, 1),  # color_description_present_flag
        (_BT709, 8),
        (_SRGB, 8),
        (_BT601, 8),
        (1, 1),  # color_range: full
        (header.separate_uv_delta_q, 1),
        (0, 1),  # film_grain_params_present
        (1, 1),  # trailing_one_bit (section 5.3.4); zeros fill the byte
    ]
    text = "".join(f"{int(value):0{length}b}" for value, length in fields)
    text += "0" * (-len(text) % 8)
    return _int(int(text, 2), len(text) // 8)


class _Bits:
    """Reads f(n) fields, most significant bit first (section 4.10.2)."""

    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.position = 0

    def read(self, length: int) -> int:
        field = self.text[self.position : self.position + length]
        if len(field) < length:
            raise _unexpected("a sequence header that ends too early")
        self.position += length
        return int(field, 2)


def _obus(data: bytes) -> list[tuple[int, bytes]]:
    """(obu_type, payload) of each open bitstream unit (section 5.3.1)."""
    units, at = [], 0
    while at < len(data):
        kind, extension, has_size = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + extension
        size = len(data) - at
        if has_size:  # leb128, section 4.10.5
            size = shift = 0
            while True:
                if at >= len(data) or shift > 56:
                    raise _unexpected("an OBU without an end to its size")
                byte, at = data[at], at + 1
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
        if at + size > len(data):
            raise _unexpected("an OBU that is longer than the picture's data")
        units.append((kind, data[at : at + size]))
        at += size
    return units


def _obu(kind: int, payload: bytes) -> bytes:
    size, rest = b"", len(payload)
    while True:
        size += bytes([rest & 127 | (128 if rest > 127 else 0)])
        rest >>= 7
        if not rest:
            return bytes([kind << 3 | 2]) + size + payload


def _box(data: bytes, kind: bytes) -> bytes:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > len(data):
            raise _unexpected(f"a box of {size} bytes at {at}")
        if data[at + 4 : at + 8] == kind:
            return data[at + 8 : at + size]
        at += size
    raise _unexpected(f"no {kind.decode()} box")


def _make_box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return _int(8 + len(body), 4) + kind + body


def _full_box(kind: bytes, *content: bytes, version: int = 0) -> bytes:
    return _make_box(kind, bytes([version, 0, 0, 0]), *content)


def _int(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")


def _unexpected(what: str) -> CodecError:
    return CodecError(
        f"Pillow's AV1 encoder wrote {what}, which the reference cannot hold; report your Pillow version "
        "or use another reference codec."
    )
