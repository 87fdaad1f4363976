"""Latents to bytes and back: the passes of the entropy model, coded symbol by symbol under its probabilities."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

import numpy as np

from ...bitstream.coder import WHOLE, BitstreamError, Decoder, Encoder
from .distribution import KINDS, REACH, Distribution
from .prior import Expected, Prior

AT_ONCE = 1 << 14  # symbols; the escapes among them follow them
ESCAPE_BITS = 14  # of what lies beyond the reach
MOST_SYMBOL = (1 << ESCAPE_BITS) - 1

Latents = tuple[np.ndarray, np.ndarray]
T = TypeVar("T")


def write(latents: Latents, weights: Latents, prior: Prior, distribution: Distribution, quality: int) -> bytes:
    """Chooses whole numbers for latents and writes them.

    Args:
        latents: coarse (C, h, w) and fine (C', 2h, 2w), float32, in steps.
        weights: (C,) and (C',): how many bits a squared error of one step is worth in each channel.
        prior: the networks.
        distribution: the probabilities.
        quality: in steps of 1/8.
    """
    encoder = Encoder()

    def code(expected: Expected) -> np.ndarray:
        level = int(expected.level == "fine")
        wanted, worth = latents[level][expected.places], weights[level][expected.channels]
        symbols = np.zeros(len(wanted), np.int64)
        for part in _parts(expected, distribution):
            middles, widths = distribution.widths(*expected.of(part))
            symbols[part] = chosen = _choose(wanted[part], worth[part], middles, widths)
            kinds = np.clip(chosen - middles + REACH, 0, KINDS - 1)
            encoder.symbols(kinds, widths)
            for beyond in (np.abs(chosen - middles) - REACH)[(kinds == 0) | (kinds == KINDS - 1)].tolist():
                length = beyond.bit_length()
                encoder.number(length, ESCAPE_BITS + 2)
                if length > 1:
                    encoder.number(beyond - (1 << (length - 1)), 1 << (length - 1))
        return symbols

    drive(prior.walk(latents[0].shape[1:], quality), code)
    return encoder.finish()


def read(data: bytes, size: tuple[int, int], prior: Prior, distribution: Distribution, quality: int) -> Latents:
    """The whole numbers in ``data``; ``size`` is that of the coarse latent, (rows, columns).

    Raises:
        BitstreamError: no encoder wrote these bytes.
    """
    decoder = Decoder(data)

    def code(expected: Expected) -> np.ndarray:
        symbols = np.zeros(len(expected.means), np.int64)
        for part in _parts(expected, distribution):
            middles, widths = distribution.widths(*expected.of(part))
            kinds = decoder.symbols(widths).astype(np.int64)
            found = middles + kinds - REACH
            for index in np.flatnonzero((kinds == 0) | (kinds == KINDS - 1)).tolist():
                length = decoder.number(ESCAPE_BITS + 2)
                beyond = (1 << (length - 1)) + decoder.number(1 << (length - 1)) if length else 0
                found[index] += beyond if kinds[index] else -beyond
            symbols[part] = found
        return symbols

    latents = drive(prior.walk(size, quality), code)
    if decoder.again() != data:
        raise BitstreamError("The coded bytes are damaged; fetch the file again.")
    return latents


def _parts(expected: Expected, distribution: Distribution) -> Iterator[np.ndarray]:
    """Indices of a pass's symbols that are coded, so many at a time that memory is bounded; part of the format."""
    indices = np.flatnonzero(~distribution.sure(expected.means, expected.scales, expected.zeros))
    for start in range(0, len(indices), AT_ONCE):
        yield indices[start : start + AT_ONCE]


def drive(walk: Generator[Expected, np.ndarray, T], code: Callable[[Expected], np.ndarray]) -> T:
    """Answers each of the passes with what ``code`` makes of it."""
    try:
        expected = next(walk)
        while True:
            expected = walk.send(code(expected))
    except StopIteration as stop:
        return stop.value


def _choose(wanted: np.ndarray, worth: np.ndarray, middles: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Of the whole numbers around each latent and 0 the one with the least bits plus weighed error."""
    wanted = np.clip(wanted, -MOST_SYMBOL, MOST_SYMBOL)
    below = np.floor(wanted).astype(np.int64)
    rows = np.arange(len(wanted))
    best, least = np.zeros_like(below), np.full(len(wanted), np.inf)
    for candidate in (np.zeros_like(below), below, below + 1):
        kinds = np.clip(candidate - middles + REACH, 0, KINDS - 1)
        cost = -np.log2(widths[rows, kinds] / WHOLE) + worth * (candidate - wanted) ** 2
        better = cost < least
        best[better], least[better] = candidate[better], cost[better]
    return best
