"""The .sedic file, version 1: header, reference, overall text, then object after object.

Header: ``SDC``, version, width, height, codec id and flags, quality, number of objects with the coders' ids, the
weights' fingerprint and the decoding hints where flagged, CRC-8. Each section: its length, its bytes, a check value
(the low byte of CRC-32 over its number and bytes). Numbers are LEB128 in their shortest form. An object's words and
mask share one range-coded stream. A reader also writes again what it has read, and calls bytes that differ damaged:
of what slips past the check value, this finds most.
"""

from __future__ import annotations

import os
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..semantics import SceneObject, Semantics, disjoint
from .coder import BitstreamError, Decoder, Encoder
from .header import Header, Hints, number_to_bytes, read_number
from .mask import cell_size, from_grid, grid_shape, read_mask, to_grid, write_mask
from .text import DETAIL, NAME, OVERALL, TextCoder

MOST_REFERENCE = 1 << 20
MOST_FILE = 2 * MOST_REFERENCE  # bytes that `read` takes from disk


@dataclass(frozen=True)
class Section:
    """One part of the file.

    Attributes:
        name: ``header``, ``reference``, ``overall``, ``object1`` …
        bytes: its bytes, length and check value included.
        text_bytes: what its stream takes, or of an object would take if it ended behind the words.
        mask_bytes: of an object, the rest of its stream.
    """

    name: str
    bytes: int
    text_bytes: int = 0
    mask_bytes: int = 0


@dataclass(frozen=True, eq=False)
class SedicFile:
    """What a .sedic file holds.

    Attributes:
        width: of the picture, 1 … 16384 pixels.
        height: likewise; width · height ≤ 2²⁶.
        codec_id: which reference codec wrote ``reference``, 0 … 31.
        quality: its setting, 0 … 255.
        reference: its bytes, at most 1 MiB; None where they did not arrive.
        semantics: words and masks; masks (height, width) bool, None where an object has none. Writing moves masks
            to the grid of :mod:`.mask` and gives each pixel to the earliest object that claims it.
        fingerprint: of the codec's weights, 4 bytes or none.
        hints: for the decoder.
        missing: one sentence about what did not arrive or is damaged; empty for a whole file.
    """

    width: int
    height: int
    codec_id: int
    quality: int
    reference: bytes | None
    semantics: Semantics
    fingerprint: bytes = b""
    hints: Hints = field(default_factory=Hints)
    missing: str = ""

    def to_bytes(self) -> bytes:
        """The whole file; of one that was read in part, the part.

        Raises:
            BitstreamError: something is outside the format's limits, or there is no reference.
        """
        return b"".join(data for _, data in self._pieces)

    @classmethod
    def from_bytes(cls, data: bytes) -> SedicFile:
        """Reads a file, or the beginning of one up to the last section that is whole and sound.

        ``missing`` then says what comes behind. Any bytes may be given: time and memory are bounded.

        Raises:
            BitstreamError: not a .sedic file, one of a newer version, or a header that is cut or damaged.
        """
        header, position = Header.from_bytes(data)
        reader, writer = _Sections(header), _Sections(header)
        pieces = [(Section("header", position), data[:position])]
        contents: list[bytes | str | SceneObject] = []
        missing = ""
        for number, name in enumerate(_section_names(header.objects)):
            try:
                payload, end = _unframe(data, position, number)
                content = reader.read(number, payload)
                again, text_bytes = writer.write(number, content)
                if again != payload:
                    raise BitstreamError("The coded bytes are not those that this content has; fetch the file again.")
            except _Cut:
                missing = f"The file is cut off in its section {name!r}; fetch it again for what is missing."
                break
            except BitstreamError:
                missing = f"The section {name!r} of the file is damaged; fetch it again for what is missing."
                break
            pieces.append(_piece(name, number, data[position:end], len(payload), text_bytes))
            contents.append(content)
            position = end
        if not missing and position < len(data):
            missing = f"{len(data) - position} bytes behind the last section were ignored; fetch the file again."
        file = cls(
            width=header.width,
            height=header.height,
            codec_id=header.codec_id,
            quality=header.quality,
            reference=next((c for c in contents if isinstance(c, bytes)), None),
            semantics=Semantics(
                next((c for c in contents if isinstance(c, str)), ""),
                tuple(c for c in contents if isinstance(c, SceneObject)),
            ),
            fingerprint=header.fingerprint,
            hints=header.hints,
            missing=missing,
        )
        # What arrived is what is counted and written again: not a shorter file that pretends to be whole.
        file.__dict__["_pieces"] = pieces
        return file

    @property
    def sections(self) -> list[Section]:
        """The parts in their order; their bytes add up to the file's (of what arrived)."""
        return [section for section, _ in self._pieces]

    @property
    def bits_per_pixel(self) -> float:
        """All bytes of all sections · 8 / pixels."""
        return 8 * sum(section.bytes for section in self.sections) / (self.width * self.height)

    @classmethod
    def read(cls, path: Path | str) -> SedicFile:
        """Reads a file from disk; errors as :meth:`from_bytes`, and when the disk says no."""
        try:
            with open(path, "rb") as file:
                return cls.from_bytes(file.read(MOST_FILE))
        except OSError as error:
            raise BitstreamError(f"{path} cannot be read ({error.strerror}); name a .sedic file.") from error

    def write(self, path: Path | str) -> None:
        """Writes the file; if that fails, a file that was there stays as it was.

        Raises:
            BitstreamError: see :meth:`to_bytes`, or the disk says no.
        """
        data = self.to_bytes()
        path = Path(path)
        temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
        try:
            try:
                temporary.write_bytes(data)
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise BitstreamError(f"{path} cannot be written ({error.strerror}); name another place.") from error

    @cached_property
    def _pieces(self) -> list[tuple[Section, bytes]]:
        header = Header(
            width=self.width,
            height=self.height,
            codec_id=self.codec_id,
            quality=self.quality,
            objects=len(self.semantics.objects),
            fingerprint=self.fingerprint,
            hints=self.hints,
        )
        data = header.to_bytes()
        pieces = [(Section("header", len(data)), data)]
        if self.reference is None:
            raise BitstreamError("The file has no reference; encode the picture's reference first.")
        objects = disjoint(_with_masks_of_size(self.semantics.objects, self.width, self.height))
        contents: list[bytes | str | SceneObject] = [self.reference, self.semantics.overall, *objects]
        writer = _Sections(header)
        for number, (name, content) in enumerate(zip(_section_names(header.objects), contents, strict=True)):
            payload, text_bytes = writer.write(number, content)
            framed = _frame(payload, number)
            pieces.append(_piece(name, number, framed, len(payload), text_bytes))
        return pieces


class _Sections:
    """Writes or reads the sections' payloads in turn; words and masks lean on those of earlier sections."""

    def __init__(self, header: Header) -> None:
        self._size = header.width, header.height
        self._cell = cell_size(*self._size)
        self._taken = np.zeros(grid_shape(*self._size), bool)
        self._texts = TextCoder()

    def write(self, number: int, content: bytes | str | SceneObject) -> tuple[bytes, int]:
        """The payload of section ``number`` and, for words, how long it would be without a mask."""
        if isinstance(content, bytes):
            if len(content) > MOST_REFERENCE:
                raise BitstreamError(
                    f"The reference has {len(content)} bytes; {MOST_REFERENCE} at most fit, choose a lower quality."
                )
            return content, 0
        encoder = Encoder()
        if isinstance(content, str):
            self._texts.write(encoder, content, OVERALL)
            payload = encoder.finish()
            return payload, len(payload)
        self._texts.write(encoder, content.name, NAME)
        self._texts.write(encoder, content.detail, DETAIL)
        text_bytes = len(encoder.finish())
        self._write_mask(encoder, content.mask)
        return encoder.finish(), text_bytes

    def read(self, number: int, payload: bytes) -> bytes | str | SceneObject:
        """Mirrors :meth:`write`."""
        if number == 0:
            return payload
        decoder = Decoder(payload)
        if number == 1:
            return self._texts.read(decoder, OVERALL)
        name = self._texts.read(decoder, NAME)
        detail = self._texts.read(decoder, DETAIL)
        return SceneObject(name, detail, self._read_mask(decoder))

    def _write_mask(self, encoder: Encoder, mask: np.ndarray | None) -> None:
        grid = None if mask is None else to_grid(mask, self._cell)
        write_mask(encoder, grid, self._taken)
        if grid is not None:
            self._taken = self._taken | grid

    def _read_mask(self, decoder: Decoder) -> np.ndarray | None:
        grid = read_mask(decoder, self._taken)
        if grid is None:
            return None
        self._taken = self._taken | grid
        return from_grid(grid, self._cell, *self._size)


class _Cut(BitstreamError):
    """The data end within a section."""


def _with_masks_of_size(objects: Sequence[SceneObject], width: int, height: int) -> list[SceneObject]:
    """The objects with bool masks, refused where a mask is not of the picture's size."""
    result = []
    for j, o in enumerate(objects, 1):
        if o.mask is not None and o.mask.shape != (height, width):
            raise BitstreamError(
                f"The mask of object {j} is {'×'.join(map(str, o.mask.shape[::-1]))}, the picture {width}×{height}; "
                "make them the same size."
            )
        result.append(o if o.mask is None else replace(o, mask=o.mask.astype(bool)))
    return result


def _section_names(objects: int) -> list[str]:
    return ["reference", "overall", *(f"object{j}" for j in range(1, objects + 1))]


def _piece(name: str, number: int, framed: bytes, payload_bytes: int, text_bytes: int) -> tuple[Section, bytes]:
    mask_bytes = payload_bytes - text_bytes if number > 1 else 0
    return Section(name, len(framed), text_bytes, mask_bytes), framed


def _check_value(payload: bytes, number: int) -> int:
    return zlib.crc32(bytes([number]) + payload) & 255


def _frame(payload: bytes, number: int) -> bytes:
    return number_to_bytes(len(payload)) + payload + bytes([_check_value(payload, number)])


def _unframe(data: bytes, position: int, number: int) -> tuple[bytes, int]:
    """The payload of the section at ``position`` and where the next one begins."""
    try:
        length, start = read_number(data, position)
        if length > MOST_REFERENCE:
            raise BitstreamError(f"A section of {length} bytes is longer than the format allows; fetch the file again.")
        check = data[start + length]
    except IndexError as error:
        raise _Cut("The file ends within a section; fetch it again.") from error
    payload = data[start : start + length]
    if check != _check_value(payload, number):
        raise BitstreamError("A section's check value does not fit its bytes; fetch the file again.")
    return payload, start + length + 1
