"""A report as one HTML page: styles, drawings and pictures lie in it; nothing is loaded and nothing runs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape

from ..measured import Table
from .page import Plot, Report, Sheet

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1c1e; background: #faf9f6; margin: 2em auto; max-width: 62em;
  padding: 0 1.2em }
h1 { font-size: 1.7em; margin-bottom: .2em } h2 { font-size: 1.25em; margin-top: 1.8em }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin: .6em 0; display: block;
  overflow-x: auto; max-width: 100% }
th, td { text-align: left; padding: .25em .7em; border-bottom: 1px solid #dedcd6; white-space: nowrap }
td.words { white-space: normal; min-width: 18em }
th { color: #6e6e74; font-weight: 600 } caption { text-align: left; font-weight: 600; padding: .4em 0 }
p.note, ul.facts { color: #55555b; font-size: 13px } ul.facts { padding-left: 1.2em }
pre { background: #f0eee8; padding: .7em 1em; overflow-x: auto; font-size: 13px }
img, svg { max-width: 100%; height: auto } figure { margin: .8em 0; display: inline-block }
"""
_WORDS = 40  # characters, above which a cell is a sentence


def html(report: Report) -> str:
    """The whole page."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(report.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{escape(report.title)}</h1>"
    yield '<ul class="facts">' + "".join(f"<li>{escape(fact)}</li>" for fact in report.facts) + "</ul>"
    if report.commands:
        yield "<pre>" + "\n".join(escape(command) for command in report.commands) + "</pre>"
    for section in report.sections:
        if section.parts:
            yield f"<h2>{escape(section.heading)}</h2>"
        for part in section.parts:
            yield _part(part)
    yield "</body>\n</html>"


def _part(part: str | Table | Plot | Sheet) -> str:
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if isinstance(part, Table):
        return "".join(_table(part))
    if isinstance(part, Plot):
        note = f'<figcaption><p class="note">{escape(part.note)}</p></figcaption>' if part.note else ""
        return f"<figure>{part.svg}{note}</figure>"
    data = base64.b64encode(part.jpeg).decode("ascii")
    return f'<figure><img alt="{escape(part.title)}" src="data:image/jpeg;base64,{data}"></figure>'


def _table(table: Table) -> Iterator[str]:
    yield "<table>"
    if table.title:
        yield f"<caption>{escape(table.title)}</caption>"
    yield "<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in table.header) + "</tr>"
    for row in table.rows:
        yield "<tr>" + "".join(_cell(cell) for cell in row) + "</tr>"
    yield "</table>"
    yield from (f'<p class="note">{escape(note)}</p>' for note in table.notes)


def _cell(cell: str) -> str:
    kind = ' class="words"' if len(cell) > _WORDS else ""
    return f"<td{kind}>{escape(cell)}</td>"
