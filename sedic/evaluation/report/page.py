"""What a report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..measured import Table


@dataclass(frozen=True)
class Plot:
    """A drawing; ``svg`` is a whole ``<svg>`` element."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class Sheet:
    """Pictures side by side, a JPEG."""

    title: str
    jpeg: bytes


@dataclass(frozen=True)
class Section:
    """A heading and what is below it; a text is a paragraph."""

    heading: str
    parts: Sequence[str | Table | Plot | Sheet]


@dataclass(frozen=True)
class Report:
    """A page.

    Attributes:
        facts: lines that say what was measured.
        commands: that make the report again.
    """

    title: str
    facts: Sequence[str]
    sections: Sequence[Section]
    commands: Sequence[str] = field(default=())
