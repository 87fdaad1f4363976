"""A report as Markdown: its tables; drawings and pictures are on the page."""

from __future__ import annotations

from collections.abc import Iterator

from ..measured import Table
from .page import Report


def markdown(report: Report) -> str:
    """The whole text."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {report.title}"
    yield ""
    yield from (f"- {_text(fact)}" for fact in report.facts)
    if report.commands:
        fence = "```"
        yield from ("", fence, *(command.replace("\n", " ") for command in report.commands), fence)
    for section in report.sections:
        shown = [part for part in section.parts if isinstance(part, str | Table)]
        if not shown:
            continue
        yield from ("", f"## {_text(section.heading)}")
        for part in shown:
            yield ""
            if isinstance(part, str):
                yield _text(part)
            else:
                yield from _table(part)


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield from (f"**{_text(table.title)}**", "")
    yield _row(table.header)
    yield "|" + "---|" * len(table.header)
    yield from (_row(row) for row in table.rows)
    if table.notes:
        yield ""
        yield from (_text(note) for note in table.notes)


def _row(cells: object) -> str:
    return "| " + " | ".join(_text(cell).replace("|", "\\|") for cell in cells) + " |"  # type: ignore[attr-defined]


def _text(text: str) -> str:
    """Names of files may be anything: no markup of theirs."""
    return " ".join(text.replace("<", "&lt;").replace("`", "'").split())
