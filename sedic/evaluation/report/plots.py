"""A rate-distortion plot as SVG, with nothing but the standard library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 700, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 205, 34, 46
_COLOURS = (
    "#3b6fb6", "#c2703d", "#4f8f5b", "#8a5aa8", "#a8893a", "#4a9aa5", "#b0567a", "#6b7280", "#7a5c45", "#94a13c",
    "#27408b", "#e0a458", "#2f5d50", "#c48bd0",
)  # fmt: skip
_OWN = "#c0392b"
Place = Callable[[float, float], tuple[float, float]]
"""Where a point of the axes lies on the drawing."""


@dataclass(frozen=True)
class Mark:
    """A point, with an interval of ``y`` where one is known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Points of one method, joined by a line; ``own`` ones are large, ``hollow`` ones are drawn as rings."""

    name: str
    marks: Sequence[Mark]
    own: bool = False
    hollow: bool = False


def plot(title: str, across: str, up: str, series: Sequence[Series]) -> str:
    """The drawing: a line or a mark for each series, and their names beside."""
    xs = [mark.x for each in series for mark in each.marks]
    ys = [y for each in series for mark in each.marks for y in (mark.y, mark.low, mark.high) if y is not None]
    x_ticks, y_ticks = ticks(min(0.0, *xs), max(xs)), ticks(min(ys), max(ys))
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + width * (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]),
            _TOP + height * (1 - (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])),
        )

    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
            f'height="{_HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12">',
            _words(_LEFT, 20, title, "#1c1c1e", size=14),
            *_axes(x_ticks, y_ticks, place, across, up),
            *(part for number, each in enumerate(series) for part in _series(number, each, place)),
            "</svg>",
        ]
    )


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers around ``low`` … ``high``, about so many.

    >>> ticks(0.0, 0.0457)
    [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]
    """
    if high <= low:
        low, high = low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    rough = (high - low) / (about - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * n, 10) for n in range(first, last + 1)]


def _axes(x_ticks: Sequence[float], y_ticks: Sequence[float], place: Place, across: str, up: str) -> Iterator[str]:
    left, bottom = place(x_ticks[0], y_ticks[0])
    right, top = place(x_ticks[-1], y_ticks[-1])
    for value in y_ticks:
        _, y = place(x_ticks[0], value)
        yield f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" stroke="#dedcd6"/>'
        yield _words(left - 8, y + 4, f"{value:g}", "#6e6e74", "end")
    for value in x_ticks:
        x, _ = place(value, y_ticks[0])
        yield f'<path d="M{x:.1f} {bottom:.1f}v4" stroke="#6e6e74"/>'
        yield _words(x, bottom + 18, f"{value:g}", "#6e6e74", "middle")
    yield f'<path d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}" fill="none" stroke="#6e6e74"/>'
    yield _words((left + right) / 2, bottom + 38, across, "#6e6e74", "middle")
    middle = (top + bottom) / 2
    yield f'<g transform="rotate(-90 14 {middle:.1f})">{_words(14, middle, up, "#6e6e74", "middle")}</g>'


def _series(number: int, series: Series, place: Place) -> Iterator[str]:
    colour = _OWN if series.own else _COLOURS[number % len(_COLOURS)]
    marks = sorted(series.marks, key=lambda mark: mark.x)
    fill = "#faf9f6" if series.hollow else colour
    if len(marks) > 1:
        path = "L".join("{:.1f} {:.1f}".format(*place(mark.x, mark.y)) for mark in marks)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    for mark in marks:
        x, y = place(mark.x, mark.y)
        if mark.low is not None and mark.high is not None:
            ends = [place(mark.x, value)[1] for value in (mark.low, mark.high)]
            yield f'<path d="M{x:.1f} {ends[0]:.1f}V{ends[1]:.1f}" stroke="{colour}" stroke-width="1.5"/>'
        yield _dot(x, y, 5 if series.own else 3, colour, fill)
    x, y = _WIDTH - _RIGHT + 18, _TOP + 8 + 18 * number
    yield _dot(x, y - 4, 5 if series.own else 3, colour, fill)
    yield _words(x + 12, y, series.name, "#1c1c1e")


def _dot(x: float, y: float, radius: int, colour: str, fill: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{colour}" stroke-width="2"/>'


def _words(x: float, y: float, text: str, colour: str, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"'
    return f"<text {place}>{escape(text)}</text>"
