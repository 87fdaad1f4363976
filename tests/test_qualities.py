"""The best reference of at most so many bytes is found, and few are coded for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from sedic.qualities import OnlyOne, Qualities


@dataclass
class Made:
    data: bytes


def search(growth: float, noise: float = 0.0, start: int = 28, first: int = 300) -> tuple[Qualities, list[int], dict]:
    """Qualities whose bytes grow by a share each, those that were coded, and the bytes of all."""
    random, coded = np.random.default_rng(0), []
    sizes = {q: round(first * math.exp(growth * q + noise * random.uniform(-1, 1))) for q in range(1, 70)}

    def encode(quality: int) -> Made:
        coded.append(quality)
        return Made(bytes(sizes[quality]))

    return Qualities(encode, range(1, 70), start), coded, sizes


@pytest.mark.parametrize("growth", [0.02, 0.04, 0.07])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_few_are_coded_and_the_best_but_one_at_least_is_found(growth, noise):
    tries = []
    for most in (350, 600, 1000, 2000, 4000):
        qualities, coded, sizes = search(growth, noise)
        found = len(qualities.within(most).data)
        assert found <= most or found == min(sizes.values())
        best = max((size for size in sizes.values() if size <= most), default=min(sizes.values()))
        assert found >= best * math.exp(-1.1 * (growth + 2 * noise))
        assert len(coded) == len(set(coded))
        tries.append(len(coded))
    assert sum(tries) / len(tries) <= 4.5
    assert max(tries) <= 8


def test_without_bounds_the_best_is_taken_and_where_nothing_fits_the_smallest():
    qualities, coded, sizes = search(0.04)
    assert len(qualities.within(math.inf).data) == sizes[69]
    assert qualities.most_bytes == sizes[69]
    assert len(qualities.within(1).data) == sizes[1]
    assert not qualities.fits(1)
    assert qualities.fits(sizes[1])


def test_what_is_known_is_not_coded_again():
    qualities, coded, sizes = search(0.04)
    known = Qualities(lambda q: pytest.fail("coded"), range(1, 70), 28, known={q: Made(bytes(sizes[q])) for q in sizes})
    assert len(known.within(sizes[40]).data) == sizes[40]


def test_a_promise_is_enough():
    coded = []
    qualities = Qualities(lambda q: coded.append(q) or Made(bytes(q)), range(4, 200), 18, promised=lambda q: 10 * q)
    assert len(qualities.within(1005).data) == 100
    assert coded == [100]
    assert qualities.most_bytes == 1990


def test_one_alone_is_what_there_is():
    one = OnlyOne(Made(b"123"))
    assert one.within(1).data == b"123"
    assert not one.fits(2)
    assert one.fits(3)
