"""The best payload within a budget: what to try, from fast coarse looks to slow fine ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ...progress import tell
from . import stream

_MAX_CODED_PIXELS = 1 << 21  # keeps the search within a minute whatever the picture
_SLOPE = -0.055  # of the logarithm of the bytes for each coarser quantiser, near enough to land two steps away
_SHRINKING = 0.6  # the factor grows with that power of the bytes that it has to save
_WHAT = "AV1, search"
_LOOK = 0.1  # seconds, after which whoever watches is told again, and may have had enough
_FULL, _TRIES = 0.985, 4  # a share of the budget that is good enough, and tries to get there


class Round(NamedTuple):
    """A round of the search.

    Attributes:
        speed: libaom's, 0 the slowest.
        scales: how many of the best so far it takes.
        fill: it fits the shrinking factor to the quantiser found and to the next finer one, which spends all of the
            budget; else the quantiser to the shrinking factor, whose steps are up to a tenth of the bytes.
        tunings: libaom's, each tried.
    """

    speed: int
    scales: int
    fill: bool = False
    tunings: tuple[str, ...] = ("psnr",)


def best_within(image: np.ndarray, budget: int, search_speed: int, rounds: Sequence[Round]) -> bytes:
    """The payload of ``image``, (H, W, 3) uint8, of at most ``budget`` bytes; b"" where none is as small.

    Args:
        search_speed: libaom's speed where all shrinking factors are compared.
        rounds: what follows, each with the best of the one before.

    Whoever watches (``progress.py``) is told often, and ends the search by raising, as Ctrl-C does.
    """
    original = Image.fromarray(image)
    found = sorted(_search(original, image, budget, search_speed), reverse=True)
    if not found:
        return b""
    best = found[0]
    # libaom on one thread each: pictures this small give it no work for more
    with _threads() as (run, over):
        for speed, scales, fill, tunings in rounds:
            tasks = [
                (f, tuning, f.quantiser - finer)
                for f in found[:scales]
                for tuning in tunings
                for finer in range(1 + fill)
            ]
            again = partial(_fill if fill else _refine, original, image, budget, speed, over)
            finals = [f for f in run(again, tasks) if f]
            # what does not fit any more is left out; where nothing does, the faster encoder's payload remains
            best = max([best, *finals])
            found = sorted(finals, reverse=True) or found
    return best.data


@contextmanager
def _threads() -> Iterator[tuple[Callable[..., list[_Found | None]], Event]]:
    """Two threads: what maps tasks on them, and the event by which their work is told that nobody wants it any more."""
    threads, over = ThreadPoolExecutor(2), Event()

    def run(work: Callable[[tuple[_Found, str, int]], _Found | None], tasks: Sequence[Any]) -> list[_Found | None]:
        futures = [threads.submit(work, task) for task in tasks]
        while waiting := wait(futures, _LOOK).not_done:
            tell(_WHAT, len(futures) - len(waiting), len(futures))
        tell(_WHAT, len(futures), len(futures))
        return [future.result() for future in futures]

    try:
        yield run, over
    finally:
        # One picture that libaom codes at this moment is not waited for.
        over.set()
        threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, order=True)
class _Found:
    """A payload within the budget: its PSNR in dB, shrinking factor and quantiser."""

    psnr: float
    scale: int
    quantiser: int
    data: bytes


def _search(original: Image.Image, image: np.ndarray, budget: int, speed: int) -> list[_Found]:
    """The best payload of each scale that fits, found with the fast encoder.

    From the coarsest scale to finer ones, until two in a row have made it worse or nothing fits any more: so full
    size, which costs most time, is tried only where the budget is large enough for it to win (on Kodak from
    0.05 bit per pixel).
    """
    found: list[_Found] = []
    best = -math.inf
    worse = 0
    start = 38
    for done, scale in enumerate(reversed(stream.SCALES)):
        tell(_WHAT, done, len(stream.SCALES))
        width, height = stream.coded_size(original.size, scale)
        if found and width * height > _MAX_CODED_PIXELS:
            break
        shrunk = stream.shrink(original, scale)
        quantiser, data = _fit(partial(stream.code, shrunk, scale, speed, "psnr"), budget, start)
        if not data:
            if found:
                break
            continue
        psnr = _psnr_of(data, image)
        found.append(_Found(psnr, scale, quantiser, data))
        worse = worse + 1 if psnr < best else 0
        best = max(best, psnr)
        if worse == 2:
            break
        start = quantiser
    tell(_WHAT, len(stream.SCALES), len(stream.SCALES))
    return found


def _fit(code: Callable[[int], bytes], budget: int, start: int, over: Event | None = None) -> tuple[int, bytes]:
    """The finest quantiser (0..63) whose bytes fit, and the bytes; (64, b"") where none does.

    Bytes fall with the quantiser, but for noise of a byte or two, about exponentially: each step goes where the known
    bytes point, within the bracket of those that do not fit and those that do.
    """
    fine, coarse = -1, stream.COARSEST + 1  # does not fit; fits
    known: dict[int, float] = {}  # logarithms of bytes / budget
    fitting = b""
    guess = start
    while coarse - fine > 1 and not (over and over.is_set()):
        data = code(guess)
        known[guess] = math.log(len(data) / max(1, budget))
        if known[guess] > 0:
            fine = guess
        else:
            coarse, fitting = guess, data
        if fine in known and coarse in known:
            step = (coarse - fine) * known[fine] / (known[fine] - known[coarse])
            guess = fine + math.ceil(step)
        else:
            guess += math.ceil(known[guess] / -_SLOPE)
        guess = min(max(guess, fine + 1), coarse - 1)
    return coarse, fitting


def _refine(
    original: Image.Image, image: np.ndarray, budget: int, speed: int, over: Event, task: tuple[_Found, str, int]
) -> _Found | None:
    """What was found, at a slower ``speed``, with a tuning and a first quantiser; None: nothing fits."""
    found, tuning, start = task
    shrunk = stream.shrink(original, found.scale)
    quantiser, data = _fit(partial(stream.code, shrunk, found.scale, speed, tuning), budget, start, over)
    return _Found(_psnr_of(data, image), found.scale, quantiser, data) if data else None


def _fill(
    original: Image.Image, image: np.ndarray, budget: int, speed: int, over: Event, task: tuple[_Found, str, int]
) -> _Found | None:
    """What was found, shrunk as little as its budget allows at a quantiser, with a tuning; None: nothing fits."""
    found, tuning, quantiser = task
    if quantiser < 0:
        return None
    parts = min(255, stream.in_parts(found.scale))
    fine, coarse, fitting, best = stream.PARTS - 1, 256, b"", 0  # does not fit; fits
    for _ in range(_TRIES):
        if over.is_set():
            break
        data = stream.write(original, parts, speed, tuning, quantiser)
        used = len(data) / max(1, budget)
        if used <= 1:
            coarse, best, fitting = parts, parts, data
        else:
            fine = parts
        if _FULL <= used <= 1 or coarse - fine <= 1:
            break
        parts = min(max(math.ceil(parts * used**_SHRINKING), fine + 1), coarse - 1)
    return _Found(_psnr_of(fitting, image), best, quantiser, fitting) if fitting else None


def _psnr_of(data: bytes, image: np.ndarray) -> float:
    return _psnr(image, stream.read(data, (image.shape[1], image.shape[0])))


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float32) - b) ** 2, dtype=np.float64)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
