"""The header of a .sedic file: what a reader has to know before any section, and the numbers in it.

====================  ==================================================================================
3 bytes               ``SDC``
1                     version, 1
1–3 each              width, height: numbers
1                     reference codec: bits 0–4 its id; 32: a fingerprint of 4 bytes follows; 64: hints follow;
                      128: a fingerprint of 1 byte follows, which is enough for weights that never change
1                     quality of the reference, whose meaning is the codec's
1                     bits 0–2: number of objects; 3–4: text coder; 5–6: mask coder; 7: 0
1 or 4, where flagged fingerprint of the codec's weights
where flagged         hints: a byte of flags, then the numbers that it announces, in the order seed (1), object steps
                      (2), overall steps (4); 8: without guidance. What equals the default is not written
1                     CRC-8 of all bytes before
====================  ==================================================================================

A number is LEB128 in its shortest form. A reader refuses a header that a writer would write otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..picture.bounds import MOST_PIXELS, MOST_SIDE
from . import mask, text
from .coder import BitstreamError, CutError

MAGIC = b"SDC"
VERSION = 1
MOST_OBJECTS = 7
MOST_STEPS = 10000
MOST_SEED = (1 << 64) - 1
MOST_HEADER = 64  # bytes, with all that may be in it
_HAS_HINTS = 64  # above the codec id in its byte
_FINGERPRINTS = {0: 0, 4: 32, 1: 128}  # by their length, likewise
_SEED, _OBJECT_STEPS, _OVERALL_STEPS, _NO_GUIDANCE = 1, 2, 4, 8


@dataclass(frozen=True)
class Hints:
    """What the encoder advises the decoder; only what differs from these defaults takes space.

    Attributes:
        seed: of the noise, 0 … 2⁶⁴ − 1.
        object_steps: solver steps per object, 1 … 10000; None leaves it to the decoder.
        overall_steps: of the final stage, likewise.
        guidance: whether to guide attention (Eq. 3).
    """

    seed: int = 0
    object_steps: int | None = None
    overall_steps: int | None = None
    guidance: bool = True


@dataclass(frozen=True)
class Header:
    """The header's fields, see :class:`sedic.bitstream.SedicFile`; ``objects`` is their number."""

    width: int
    height: int
    codec_id: int
    quality: int
    objects: int
    fingerprint: bytes = b""
    hints: Hints = field(default_factory=Hints)
    text_coder: int = text.CODERS.default
    mask_coder: int = mask.CODERS.default

    def to_bytes(self) -> bytes:
        """The header with its CRC-8.

        Raises:
            BitstreamError: a field is outside its limits.
        """
        self._check()
        flags = _FINGERPRINTS[len(self.fingerprint)] | _HAS_HINTS * (self.hints != Hints())
        data = MAGIC + bytes([VERSION]) + number_to_bytes(self.width) + number_to_bytes(self.height)
        counts = self.objects | self.text_coder << 3 | self.mask_coder << 5
        data += bytes([self.codec_id | flags, self.quality, counts])
        data += self.fingerprint
        if self.hints != Hints():
            data += _hints_to_bytes(self.hints)
        return data + bytes([crc8(data)])

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple[Header, int]:
        """Reads the header that ``data`` begins with.

        Returns:
            The header and the number of its bytes.

        Raises:
            CutError: ``data`` ends before the header does.
            BitstreamError: another kind of file, a newer version, or damaged.
        """
        if data[:3] != MAGIC[: len(data)]:
            raise BitstreamError(f"This is not a .sedic file (it begins with {data[:3]!r}); choose one.")
        try:
            if data[3] != VERSION:
                raise BitstreamError(
                    f"The file is of version {data[3]}, this program reads version {VERSION}; update ComfyUI-SEDIC."
                )
            width, position = read_number(data, 4)
            height, position = read_number(data, position)
            flags, quality, counts = data[position], data[position + 1], data[position + 2]
            position += 3
            length = sum(length for length, flag in _FINGERPRINTS.items() if flags & flag)
            fingerprint = data[position : position + length]
            position += length
            hints = Hints()
            if flags & _HAS_HINTS:
                hints, position = _read_hints(data, position)
            if data[position] != crc8(data[:position]):
                raise BitstreamError("The header of the file is damaged; fetch it again.")
        except IndexError as error:
            raise CutError(f"The file ends within its header ({len(data)} bytes); fetch it again.") from error
        text_coder, mask_coder = (counts >> 3) & 3, counts >> 5  # 4 and above mark what is not yet invented
        if length not in _FINGERPRINTS or text_coder not in text.CODERS.names or mask_coder not in mask.CODERS.names:
            raise BitstreamError("The file uses coders that this version does not know; update ComfyUI-SEDIC.")
        header = cls(width, height, flags & 31, quality, counts & 7, fingerprint, hints, text_coder, mask_coder)
        if header.to_bytes() != data[: position + 1]:
            raise BitstreamError("The header of the file is not written as it should be; fetch it again.")
        return header, position + 1

    def _check(self) -> None:
        if not (1 <= self.width <= MOST_SIDE and 1 <= self.height <= MOST_SIDE):
            raise BitstreamError(
                f"The picture is {self.width}×{self.height}; sides of 1 to {MOST_SIDE} pixels fit, resize it."
            )
        if self.width * self.height > MOST_PIXELS:
            raise BitstreamError(
                f"The picture has {self.width * self.height} pixels; {MOST_PIXELS} at most fit, resize it."
            )
        _within("number of objects", self.objects, 0, MOST_OBJECTS)
        text.CODERS.check(self.text_coder)
        mask.CODERS.check(self.mask_coder)
        _within("reference codec's id", self.codec_id, 0, 31)
        _within("reference quality", self.quality, 0, 255)
        _within("seed", self.hints.seed, 0, MOST_SEED)
        for name, steps in (("object", self.hints.object_steps), ("overall", self.hints.overall_steps)):
            if steps is not None:
                _within(f"number of {name} steps", steps, 1, MOST_STEPS)
        if len(self.fingerprint) not in _FINGERPRINTS:
            raise BitstreamError(f"The weights' fingerprint has {len(self.fingerprint)} bytes; give 4, 1 or none.")


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BitstreamError(f"The {name} is {value}; {least} to {most} fit.")


def _hints_to_bytes(hints: Hints) -> bytes:
    present, data = 0, b""
    if hints.seed:
        present, data = present | _SEED, data + number_to_bytes(hints.seed)
    if hints.object_steps is not None:
        present, data = present | _OBJECT_STEPS, data + number_to_bytes(hints.object_steps)
    if hints.overall_steps is not None:
        present, data = present | _OVERALL_STEPS, data + number_to_bytes(hints.overall_steps)
    if not hints.guidance:
        present |= _NO_GUIDANCE
    return bytes([present]) + data


def _read_hints(data: bytes, position: int) -> tuple[Hints, int]:
    present, position = data[position], position + 1
    numbers: list[int | None] = []
    for flag in (_SEED, _OBJECT_STEPS, _OVERALL_STEPS):
        number = None
        if present & flag:
            number, position = read_number(data, position)
        numbers.append(number)
    return Hints(numbers[0] or 0, numbers[1], numbers[2], not present & _NO_GUIDANCE), position


def number_to_bytes(value: int) -> bytes:
    """LEB128: seven bits a byte, the lowest first, the top bit set where another byte follows."""
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def read_number(data: bytes | bytearray, position: int) -> tuple[int, int]:
    """Reads LEB128 and returns the value and where the next byte is.

    Raises:
        IndexError: ``data`` ends within it.
        BitstreamError: it is not in its shortest form, or above 2⁶⁴ − 1.
    """
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            if value > MOST_SEED or (byte == 0 and shift > 7):
                break
            return value, position
        if shift > 63:
            break
    raise BitstreamError("A number in the file is damaged; fetch it again.")


def crc8(data: bytes) -> int:
    """CRC-8 with polynomial x⁸ + x² + x + 1, from zero: finds all errors of up to 8 bits in a row."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ (0x107 if crc & 128 else 0)
    return crc
