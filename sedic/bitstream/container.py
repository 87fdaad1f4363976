"""The .sedic file, version 1: header, reference, overall text, then object after object.

The header (:mod:`.header`) and the sections (:mod:`.sections`) follow each other with nothing between them. A file may
end anywhere; what is whole up to there is read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property

from .. import output
from ..semantics import SceneObject, Semantics
from . import mask, text
from .coder import BitstreamError
from .header import Header, Hints
from .sections import (
    MOST_PAYLOAD,
    Content,
    Section,
    Sections,
    TooMuchWorkError,
    describe,
    frame,
    section_names,
    with_disjoint_masks,
)
from .stream import StreamReader

QUICK_CELL = 16  # pixels: cells of masks which take a reader little time, whatever their outlines are
MOST_FILE = 2 * MOST_PAYLOAD  # bytes that `read` takes from disk


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
        fingerprint: of the codec's weights, 4 bytes, 1 or none.
        hints: for the decoder.
        missing: one sentence about what did not arrive or is damaged; empty for a whole file.
        missing_sections: names of the sections that did not arrive, or lie behind a damaged one or are it.
        text_coder: number of the coder of the words, see :mod:`.text`.
        mask_coder: number of the coder of the masks, see :mod:`.mask`.
        mask_choice: which cells a writer gives them; a file that was read does not know it.
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
    missing_sections: tuple[str, ...] = ()
    text_coder: int = text.CODERS.default
    mask_coder: int = mask.CODERS.default
    mask_choice: mask.MaskChoice = mask.MaskChoice()

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
        reader = StreamReader()
        reader.feed(data)
        return cls.from_stream(reader)

    @classmethod
    def from_stream(cls, reader: StreamReader) -> SedicFile:
        """What a reader has so far; ``missing`` says what comes behind.

        Raises:
            BitstreamError: the header has not arrived.
        """
        header, contents = reader.header, reader.contents
        if header is None:
            raise BitstreamError(f"The file ends within its header ({reader.waiting} bytes); fetch it again.")
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
            missing=reader.missing,
            missing_sections=tuple(reader.missing_sections),
            text_coder=header.text_coder,
            mask_coder=header.mask_coder,
        )
        # What arrived is what is counted and written again: not a shorter file that pretends to be whole.
        file.__dict__["_pieces"] = list(reader.pieces)
        return file

    @property
    def sections(self) -> list[Section]:
        """The parts in their order; their bytes add up to the file's (of what arrived)."""
        return [section for section, _ in self._pieces]

    @property
    def size(self) -> int:
        """All bytes of all sections."""
        return sum(section.bytes for section in self.sections)

    @property
    def bits_per_pixel(self) -> float:
        """:attr:`size` · 8 / pixels."""
        return 8 * self.size / (self.width * self.height)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SedicFile:
        """Reads a file from disk; errors as :meth:`from_bytes`, and when the disk says no."""
        try:
            with open(path, "rb") as file:
                return cls.from_bytes(file.read(MOST_FILE))
        except OSError as error:
            raise BitstreamError(f"{path} cannot be read ({error.strerror}); name a .sedic file.") from error

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the file; if that fails, a file that was there stays as it was.

        Raises:
            BitstreamError: see :meth:`to_bytes`, or the disk says no.
        """
        data = self.to_bytes()
        try:
            output.write(path, data)
        except output.OutputError as error:
            raise BitstreamError(str(error)) from error.__cause__

    @property
    def written(self) -> Semantics:
        """The semantics as a reader of the file will have them; of a whole file only.

        Its masks are on their grids: written again, nothing has to be chosen for them.
        """
        _ = self._pieces
        return Semantics(self.semantics.overall, tuple(self.__dict__.get("_stored", self.semantics.objects)))

    def with_reference(self, reference: bytes, quality: int, fingerprint: bytes) -> SedicFile:
        """The same words and masks, which are not coded again, behind another reference of the same codec."""
        assert self.reference is not None
        file = replace(self, reference=reference, quality=quality, fingerprint=fingerprint, semantics=self.written)
        if len(self.reference) - len(reference) <= self.__dict__.get("_spare_bytes", 0):
            payload = frame(reference, 0)
            new = file._header.to_bytes()
            pieces = [(Section("header", len(new)), new), (Section("reference", len(payload)), payload)]
            file.__dict__["_pieces"] = pieces + self._pieces[2:]
        return file

    @cached_property
    def _pieces(self) -> list[tuple[Section, bytes]]:
        try:
            return self._written(self.mask_choice)
        except TooMuchWorkError:
            if self.mask_choice.cell is not None:
                raise
            return self._written(replace(self.mask_choice, cell=QUICK_CELL))

    @property
    def _header(self) -> Header:
        return Header(
            width=self.width,
            height=self.height,
            codec_id=self.codec_id,
            quality=self.quality,
            objects=len(self.semantics.objects),
            fingerprint=self.fingerprint,
            hints=self.hints,
            text_coder=self.text_coder,
            mask_coder=self.mask_coder,
        )

    def _written(self, masks: mask.MaskChoice) -> list[tuple[Section, bytes]]:
        header = self._header
        data = header.to_bytes()
        pieces = [(Section("header", len(data)), data)]
        if self.reference is None:
            raise BitstreamError("The file has no reference; encode the picture's reference first.")
        objects = with_disjoint_masks(self.semantics.objects, header)
        contents: list[Content] = [self.reference, self.semantics.overall, *objects]
        writer = Sections(header)
        writer.prepare(objects, masks)
        for number, (name, content) in enumerate(zip(section_names(header.objects), contents, strict=True)):
            payload, text_bytes = writer.write(content)
            framed = frame(payload, number)
            pieces.append((describe(name, len(framed), len(payload), text_bytes), framed))
        self.__dict__.update(_stored=writer.stored, _spare_bytes=writer.spare_bytes)
        return pieces
