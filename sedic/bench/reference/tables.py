"""The rates' tables, as Markdown, from what is kept on disk; nothing is coded here."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import SedicError
from .points import TARGET, TARGETS, Point, within

Curves = Mapping[str, Mapping[int, Sequence[Point | None]]]
"""Points by codec and target, one for each picture in the same order, None where there is none."""

LOWEST, HIGHEST = 10, 40
"""Thousandths of a bit per pixel: what BD-rates are taken over."""
_FEWEST = 4  # points of a curve


def decibels(similarity: float) -> float:
    """MS-SSIM on a scale on which curves are about straight: -10·log10(1 - MS-SSIM)."""
    return -10 * math.log10(1 - similarity)


@dataclass(frozen=True)
class Mean:
    """The mean over pictures of a codec's points at one target."""

    bytes: float
    bpp: float
    psnr: float
    ms_ssim: float


def mean(points: Sequence[Point | None]) -> Mean | None:
    """The mean over all pictures; None where one of them is missing."""
    there = [point for point in points if point is not None]
    if not there or len(there) < len(points):
        return None
    figures = [[p.bytes, p.bpp, p.psnr, p.ms_ssim] for p in there]
    return Mean(*map(statistics.fmean, zip(*figures, strict=True)))


def rates(curves: Curves) -> Iterator[str]:
    """A row for each codec: what its pictures are like at the middle target, and on how many the first codec wins."""
    first = next(iter(curves))
    yield f"| codec | bytes | within 2 % | bpp | PSNR, dB | MS-SSIM | {first}: PSNR, won | {first}: MS-SSIM, won |"
    yield "|---|---|---|---|---|---|---|---|"
    own = [p for p in curves[first][TARGET] if p is not None]
    for name, points in curves.items():
        there = [p for p in points[TARGET] if p is not None]
        average = mean(points[TARGET])
        if average is None:
            yield f"| {name} | {len(there)} of {len(points[TARGET])} pictures | | | | | | |"
            continue
        met = sum(within(p, TARGET) for p in there)
        row = f"| {name} | {average.bytes:.0f} | {met} of {len(there)} | {average.bpp:.4f} | {average.psnr:.2f} "
        row += f"| {average.ms_ssim:.4f} |"
        if name == first or len(own) < len(there):
            yield f"{row} | |"
            continue
        nearer = [a.psnr - b.psnr for a, b in zip(own, there, strict=True)]
        liker = [a.ms_ssim - b.ms_ssim for a, b in zip(own, there, strict=True)]
        yield f"{row} {_won(nearer, 2)} | {_won(liker, 4)} |"


def _won(gains: Sequence[float], digits: int) -> str:
    return f"{statistics.fmean(gains):+.{digits}f}, {sum(gain > 0 for gain in gains)} of {len(gains)}"


def all_rates(curves: Curves) -> Iterator[str]:
    """PSNR and MS-SSIM of each codec at every target."""
    yield "| bpp " + "".join(f"| {name} " for name in curves) + "|"
    yield "|---" * (len(curves) + 1) + "|"
    for target in sorted(TARGETS):
        averages = [mean(points[target]) for points in curves.values()]
        cells = (f"| {a.psnr:.2f} / {a.ms_ssim:.4f} " if a is not None else "| " for a in averages)
        yield f"| {target / 1000:.3f} " + "".join(cells) + "|"


def bd_rates(curves: Curves) -> Iterator[str]:
    """Two tables: bytes that the row's codec takes more or less than the column's for the same quality."""
    for title, figure in (("PSNR", _psnr), ("MS-SSIM", _ms_ssim)):
        lines = {name: curve(points, figure) for name, points in curves.items()}
        yield f"| {title}: bytes of … against | " + " | ".join(lines) + " |"
        yield "|---" * (len(lines) + 1) + "|"
        for name, line in lines.items():
            cells = ["" if other == name else _percent(bd_rate(lines[other], line)) for other in lines]
            yield f"| {name} | " + " | ".join(cells) + " |"
        yield ""


def curve(points: Mapping[int, Sequence[Point | None]], figure: Callable[[Mean], float]) -> list[tuple[float, float]]:
    """(bpp, quality) of the mean picture at each target between :data:`LOWEST` and :data:`HIGHEST`."""
    averages = [mean(points[target]) for target in sorted(TARGETS) if LOWEST <= target <= HIGHEST]
    return [(a.bpp, figure(a)) for a in averages if a is not None]


def bd_rate(anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]]) -> float:
    """Bjøntegaard's difference in rate of ``test`` against ``anchor``, percent; nan where it is not defined.

    Over the range of qualities that both reach, piecewise cubic (PCHIP), as the standards' groups do.

    Args:
        anchor: (rate, quality), rising.
        test: likewise.

    Raises:
        SedicError: the package is not installed.
    """
    try:
        import bjontegaard
    except ImportError as error:
        raise SedicError(f'BD-rates need bjontegaard ({error}): pip install "sedic[bench]".') from error
    if min(len(anchor), len(test)) < _FEWEST:
        return math.nan
    (rate_a, quality_a), (rate_t, quality_t) = (np.array(sorted(line)).T for line in (anchor, test))
    if min(np.diff(quality_a).min(), np.diff(quality_t).min()) <= 0:
        return math.nan  # not a function of the quality
    if max(quality_a[0], quality_t[0]) >= min(quality_a[-1], quality_t[-1]):
        return math.nan  # nothing in common
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the ranges differ, which the page says
        return float(
            bjontegaard.bd_rate(rate_a, quality_a, rate_t, quality_t, method="pchip", require_matching_points=False)
        )


def _psnr(point: Mean) -> float:
    return point.psnr


def _ms_ssim(point: Mean) -> float:
    return decibels(point.ms_ssim)


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.1f}%"
