"""Reading a .sedic file while its bytes arrive, section by section.

>>> from sedic.bitstream import SedicFile, StreamReader
>>> from sedic.semantics import Semantics
>>> data = SedicFile(64, 64, codec_id=1, quality=40, reference=b"abc", semantics=Semantics("A pond.")).to_bytes()
>>> reader, whole = StreamReader(), []
>>> for position in range(len(data)):
...     for section, content in reader.feed(data[position : position + 1]):
...         whole.append((section.name, content))
>>> whole[1:]
[('reference', b'abc'), ('overall', 'A pond.')]
>>> reader.finished
True
"""

from __future__ import annotations

from .coder import BitstreamError, CutError
from .header import MOST_HEADER, Header
from .sections import Content, Section, Sections, describe, section_names, unframe


class StreamReader:
    """Takes a file's bytes as they come and hands out each section as soon as it is whole.

    Attributes:
        header: None until it is whole.
        pieces: the sections that arrived, the header first, each with its bytes.
        contents: of the sections behind the header: the reference's bytes, the overall text, objects.
        damaged: the name of the section at which reading stopped for good; empty where none did.
    """

    def __init__(self) -> None:
        self.header: Header | None = None
        self.pieces: list[tuple[Section, bytes]] = []
        self.contents: list[Content] = []
        self.damaged = ""
        self._names: list[str] = []
        self._waiting = bytearray()
        self._sections: Sections | None = None

    @property
    def finished(self) -> bool:
        """Whether all sections have arrived."""
        return self.header is not None and len(self.contents) == len(self._names)

    @property
    def waiting(self) -> int:
        """Bytes that belong to no whole section yet."""
        return len(self._waiting)

    @property
    def missing_sections(self) -> list[str]:
        """Names of the sections that have not arrived; empty before the header has."""
        return self._names[len(self.contents) :]

    @property
    def missing(self) -> str:
        """One sentence about what has not arrived or is damaged; empty for a whole file."""
        if self.damaged:
            return f"The section {self.damaged!r} of the file is damaged; fetch it again for what is missing."
        if not self.finished:
            name, *behind = self.missing_sections or ["header"]
            and_more = f", {', '.join(behind)} not begun" if behind else ""
            return f"The file is cut off in its section {name!r}{and_more}; fetch it again for what is missing."
        if self.waiting:
            return f"{self.waiting} bytes behind the last section were ignored; fetch the file again."
        return ""

    def feed(self, data: bytes) -> list[tuple[Section, Header | Content]]:
        """Takes the next bytes, any number of them, and gives the sections that they made whole.

        Behind a damaged section nothing is read any more.

        Raises:
            BitstreamError: not a .sedic file, one of a newer version, or a damaged header.
        """
        self._waiting += data
        arrived: list[tuple[Section, Header | Content]] = []
        if self.header is None:
            try:
                self.header, end = Header.from_bytes(bytes(self._waiting[:MOST_HEADER]))
            except CutError:
                return []
            self._names = section_names(self.header.objects)
            self._sections = Sections(self.header)
            arrived.append((self._take(Section("header", end)), self.header))
        while self._sections and self.missing_sections and not self.damaged:
            number, name = len(self.contents), self.missing_sections[0]
            try:
                payload, end = unframe(self._waiting, 0, number)
                content, text_bytes = self._sections.read(number, payload)
            except CutError:
                break
            except BitstreamError:
                self.damaged = name
                break
            self.contents.append(content)
            arrived.append((self._take(describe(name, end, len(payload), text_bytes)), content))
        return arrived

    def _take(self, section: Section) -> Section:
        """Moves a section's bytes from those that wait to those that are read."""
        self.pieces.append((section, bytes(self._waiting[: section.bytes])))
        del self._waiting[: section.bytes]
        return section
