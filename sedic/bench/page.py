"""A Markdown page of which a command writes one part, and people the rest."""

from __future__ import annotations

from pathlib import Path

from ..errors import SedicError

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def parts(path: Path) -> tuple[str, str]:
    """What stands before and behind the measured part.

    Raises:
        SedicError: the page cannot be read, or has no such part.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SedicError(f"{path} cannot be read ({error}); name a Markdown file.") from error
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SedicError(f"{path} has no part between {BEGIN} and {END} to write; add these two lines.")
    return before, after


def write(path: Path, text: str) -> None:
    """Puts ``text`` in place of the measured part.

    Raises:
        SedicError: as :func:`parts`.
    """
    before, after = parts(path)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
