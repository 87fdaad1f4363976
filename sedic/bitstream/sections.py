"""The sections of a .sedic file: their order, their frames, and what is coded in each.

A section is its payload's length (LEB128), the payload, and a check value: the low byte of CRC-32 over the section's
number and the payload. Section 0 is the reference, its payload the codec's own bytes; 1 the overall text; 2 and on
the objects, each one range-coded stream: name, detail, mask. The words of a file share one text coder and its masks
one mask coder, so that a section leans on those before it and needs none behind it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..semantics import SceneObject, disjoint
from .coder import BitstreamError, CutError, Decoder, Encoder
from .header import Header, number_to_bytes, read_number
from .mask import CODERS as MASK_CODERS
from .mask import MaskChoice, MaskCoder
from .text import CODERS as TEXT_CODERS
from .text import DETAIL, NAME, OVERALL, TextCoder

MOST_PAYLOAD = 1 << 20
BASE_WORK, WORK_PER_BYTE = 500_000, 500  # see `Sections`

Content = bytes | str | SceneObject


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


class StoredObject(SceneObject):
    """An object as a file holds it: its mask is drawn, in the picture's size, when somebody asks for it.

    Until then only its grid is kept: seven masks of the largest picture would take half a gigabyte.

    Attributes:
        grid: what the mask coder read; None once the object was changed.
        coded_for: number of the mask coder, width and height that the grid belongs to.
    """

    grid: Any | None = None
    coded_for: tuple[int, int, int] | None = None
    _draw: Callable[[], np.ndarray]

    @cached_property
    def mask(self) -> np.ndarray:
        """(height, width) bool."""
        return self._draw()

    @classmethod
    def of(cls, name: str, detail: str, grid: Any, draw: Callable[[], np.ndarray], header: Header) -> SceneObject:
        """The object whose mask ``draw`` makes."""
        stored = cls(name, detail)
        del stored.__dict__["mask"]  # the constructor's None
        stored.__dict__.update(grid=grid, _draw=draw, coded_for=_grid_kind(header))
        return stored


class Sections:
    """Writes or reads the payloads of one file in turn; words and masks lean on those of earlier sections.

    Reading takes time in proportion to the bytes: behind each section the work of all words and masks so far (see
    :class:`.coder.Encoder`) is at most ``BASE_WORK + WORK_PER_BYTE ·`` the bytes of the payloads so far. A writer
    refuses content beyond that, which compresses as no description does.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._texts: TextCoder = TEXT_CODERS.make(header.text_coder)
        self._masks: MaskCoder = MASK_CODERS.make(header.mask_coder, header.width, header.height)
        self._work = self._bytes = 0
        self.stored: list[SceneObject] = []  # the objects written so far, as a reader will have them
        self.spare_bytes = MOST_PAYLOAD  # by so many the reference could be shorter and the work still be allowed

    def prepare(self, objects: Sequence[SceneObject], choice: MaskChoice) -> None:
        """Told before the first object is written: all of them, with masks that do not overlap."""
        stored = [stored_grid(o, self._header) is not None for o in objects]
        self._masks.prepare([None if s else o.mask for o, s in zip(objects, stored, strict=True)], choice)

    def write(self, content: Content) -> tuple[bytes, int]:
        """The payload of the next section and, for words, how long it would be without a mask."""
        if isinstance(content, bytes):
            if len(content) > MOST_PAYLOAD:
                raise BitstreamError(
                    f"The reference has {len(content)} bytes; {MOST_PAYLOAD} at most fit, choose a lower quality."
                )
            self._bytes += len(content)
            return content, 0
        encoder = Encoder()
        if isinstance(content, str):
            self._texts.write(encoder, content, OVERALL)
            payload = encoder.finish()
            self._count(payload, encoder.work)
            return payload, len(payload)
        self._texts.write(encoder, content.name, NAME)
        self._texts.write(encoder, content.detail, DETAIL)
        text_bytes = len(encoder.finish())
        grid = stored_grid(content, self._header)
        if grid is None:
            grid = self._masks.write(encoder, content.mask)
        else:
            self._masks.write_grid(encoder, grid)
        self.stored.append(self._as_read(content.name, content.detail, grid))
        payload = encoder.finish()
        self._count(payload, encoder.work)
        return payload, text_bytes

    def read(self, number: int, payload: bytes) -> tuple[Content, int]:
        """Mirrors :meth:`write`.

        Raises:
            BitstreamError: ``write`` gives no such bytes. Of the damage that slips past the check value, the range
                decoder, which writes again what it reads, finds most.
        """
        self._bytes += len(payload)
        if number == 0:
            return payload, 0
        decoder = Decoder(payload, self._most_work() - self._work)
        content: Content
        if number == 1:
            content = self._texts.read(decoder, OVERALL)
            text_bytes = len(payload)
        else:
            name = self._texts.read(decoder, NAME)
            detail = self._texts.read(decoder, DETAIL)
            text_bytes = len(decoder.again())
            grid = self._masks.read(decoder)
            content = self._as_read(name, detail, grid)
        if decoder.again() != payload:
            raise BitstreamError("The coded bytes are not those that this content has; fetch the file again.")
        self._work += decoder.work
        return content, text_bytes

    def _as_read(self, name: str, detail: str, grid: Any | None) -> SceneObject:
        if grid is None:
            return SceneObject(name, detail)
        return StoredObject.of(name, detail, grid, partial(self._masks.picture, grid), self._header)

    def _count(self, payload: bytes, work: int) -> None:
        self._bytes += len(payload)
        self._work += work
        if self._work > self._most_work():
            raise TooMuchWorkError(
                "The words or masks repeat themselves so much that a short file would take too long to read; "
                "shorten the texts or leave out objects."
            )
        self.spare_bytes = min(self.spare_bytes, (self._most_work() - self._work) // max(1, WORK_PER_BYTE))

    def _most_work(self) -> int:
        return BASE_WORK + WORK_PER_BYTE * self._bytes


class TooMuchWorkError(BitstreamError):
    """Another coder, or coarser masks, may hold the content."""


def section_names(objects: int) -> list[str]:
    """Names of the sections behind the header, in their order."""
    return ["reference", "overall", *(f"object{j}" for j in range(1, objects + 1))]


def describe(name: str, framed_bytes: int, payload_bytes: int, text_bytes: int) -> Section:
    """What a section's bytes are spent on."""
    mask_bytes = payload_bytes - text_bytes if name.startswith("object") else 0
    return Section(name, framed_bytes, text_bytes, mask_bytes)


def frame(payload: bytes, number: int) -> bytes:
    """The bytes of section ``number``."""
    return number_to_bytes(len(payload)) + payload + bytes([_check_value(payload, number)])


def unframe(data: bytes | bytearray, position: int, number: int) -> tuple[bytes, int]:
    """The payload of the section at ``position`` and where the next one begins.

    Raises:
        CutError: ``data`` ends before the section does.
        BitstreamError: it is damaged.
    """
    try:
        length, start = read_number(data, position)
        if length > MOST_PAYLOAD:
            raise BitstreamError(f"A section of {length} bytes is longer than the format allows; fetch the file again.")
        check = data[start + length]
    except IndexError as error:
        raise CutError("The file ends within a section; fetch it again.") from error
    payload = bytes(data[start : start + length])
    if check != _check_value(payload, number):
        raise BitstreamError("A section's check value does not fit its bytes; fetch the file again.")
    return payload, start + length + 1


def reworded(content: SceneObject, detail: str) -> SceneObject:
    """The same object with another detail; a grid that it was read with stays."""
    if not isinstance(content, StoredObject):
        return replace(content, detail=detail)
    other = StoredObject(content.name, detail)
    state = {name: value for name, value in content.__dict__.items() if name != "detail"}
    del other.__dict__["mask"]  # the constructor's None, where nothing is drawn yet
    other.__dict__.update(state)
    return other


def stored_grid(content: SceneObject, header: Header) -> Any | None:
    """The grid that the object was read with, if it is one of this file's mask coder and size."""
    if isinstance(content, StoredObject) and content.coded_for == _grid_kind(header):
        return content.grid
    return None


def with_disjoint_masks(objects: Sequence[SceneObject], header: Header) -> list[SceneObject]:
    """The objects with bool masks that do not overlap, as :func:`sedic.semantics.disjoint`; grids stay as they are.

    Raises:
        BitstreamError: a mask is not of the picture's size.
    """
    stored = [stored_grid(o, header) is not None for o in objects]
    drawn = []
    for j, (o, is_stored) in enumerate(zip(objects, stored, strict=True), 1):
        mask = None if is_stored else o.mask
        if mask is not None and mask.shape != (header.height, header.width):
            raise BitstreamError(
                f"The mask of object {j} is {'×'.join(map(str, mask.shape[::-1]))}, the picture "
                f"{header.width}×{header.height}; make them the same size."
            )
        drawn.append(SceneObject(o.name, o.detail, None if mask is None else mask.astype(bool)))
    return [o if is_stored else d for o, d, is_stored in zip(objects, disjoint(drawn), stored, strict=True)]


def _grid_kind(header: Header) -> tuple[int, int, int]:
    return header.mask_coder, header.width, header.height


def _check_value(payload: bytes, number: int) -> int:
    return zlib.crc32(bytes([number]) + payload) & 255
