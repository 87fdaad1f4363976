"""What other people published, by protocol: ``peers.json``, read from their papers and repositories.

>>> sorted({point.method for point in points("div2k768")})[:2]
['DDCM', 'DiffEIC']
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

UNNAMED = "lpips"
"""The key of an LPIPS of which nobody said on which network: it is shown in tables and shares no plot."""


@dataclass(frozen=True)
class Point:
    """Somebody's figures at a rate.

    Attributes:
        figures: by keys of :data:`.metrics.METRICS`, or :data:`UNNAMED`.
        net: of LPIPS, where there is one.
        how: ``published``, or ``figure``: read by eye off a plot, within 5 %.
    """

    protocol: str
    method: str
    bpp: float
    figures: Mapping[str, float]
    how: str
    source: str
    net: str = ""


def points(protocol: str) -> list[Point]:
    """Those of a protocol, in the order of the file."""
    return [Point(**row) for row in _data()["points"] if row["protocol"] == protocol]


def rates(protocol: str) -> Mapping[str, float] | None:
    """The paper's bits per pixel of ``reference``, ``words``, ``masks`` and ``total`` (Table VIII)."""
    return _data()["rates"].get(protocol)


def times() -> list[Mapping[str, Any]]:
    """Seconds to encode and decode a Kodak picture: ``method``, ``device``, ``encode``, ``decode``, ``source``."""
    return _data()["times"]


def ablation(name: str) -> Mapping[str, Any] | None:
    """The paper's own table: ``set``, ``columns``, and ``rows`` by the variants' names."""
    return _data()["ablations"].get(name)


@cache
def _data() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("peers.json").read_text(encoding="utf-8"))
