"""Cells that are flipped where that pays: what a flip is said to add is what it adds."""

from __future__ import annotations

import numpy as np
import pytest

from sedic.bitstream.mask import flips
from sedic.bitstream.mask.cell_model import bits
from sedic.bitstream.mask.lattice import Canvas, cells_of, draw

SIZE = 8


@pytest.fixture
def scene() -> tuple[Canvas, np.ndarray, np.ndarray]:
    """What an earlier object took, a blob's units, and its cells."""
    canvas = Canvas.of(256, 192)
    down, right = np.mgrid[:192, :256]
    canvas.take((down - 60) ** 2 + (right - 60) ** 2 < 40**2)
    angle = np.arctan2(down - 100, right - 130)
    units = np.hypot(down - 100, right - 130) < 55 + 12 * np.sin(5 * angle) + 6 * np.cos(11 * angle)
    units &= ~canvas.taken
    return canvas, units, cells_of(units, canvas.taken, SIZE)


def flipped(cells: np.ndarray, place: np.ndarray) -> np.ndarray:
    result = cells.copy()
    result[tuple(place)] ^= True
    return result


def edge(cells: np.ndarray, canvas: Canvas) -> np.ndarray:
    return np.argwhere(flips._edge(cells) & flips._Rate(canvas, SIZE).free)


def test_bits_that_a_flip_adds_are_nearly_those_of_the_whole_grid(scene):
    canvas, _, cells = scene
    places = edge(cells, canvas)
    rate = flips._Rate(canvas, SIZE)
    rate.look_at(cells)
    said = rate.own(places) + rate.others(places)
    true = [bits(canvas, flipped(cells, place), SIZE) - bits(canvas, cells, SIZE) for place in places]
    assert len(places) > 50
    assert np.abs(said - true).mean() < 0.1 * np.abs(true).mean()


def test_what_a_flip_loses_is_nearly_what_is_drawn_worse(scene):
    canvas, units, cells = scene

    def lost(candidate: np.ndarray) -> float:
        drawn = draw(candidate, canvas.taken, SIZE)
        return 1 - (drawn & units).sum() / (drawn | units).sum()

    places = edge(cells, canvas)
    said = flips._Loss(canvas, units, SIZE, cells.shape).added(cells, places)
    true = np.array([lost(flipped(cells, place)) - lost(cells) for place in places])
    assert np.corrcoef(said, true)[0, 1] > 0.9
    assert np.abs(said - true).mean() < 0.3 * np.abs(true).mean()


@pytest.mark.parametrize("size", [3, 5, 8, 12])
def test_parts_hold_all_that_is_inside(size):
    units = np.random.default_rng(size).random((61, 77)) < 0.5
    rows, columns = -(-61 // size), -(-77 // size)
    parts = flips._parts(units, size, (rows, columns))
    padded = np.pad(units, ((0, rows * size - 61), (0, columns * size - 77)))
    np.testing.assert_array_equal(parts.sum(-1), padded.reshape(rows, size, columns, size).sum((1, 3)))
    np.testing.assert_array_equal(parts * 64, np.rint(parts * 64))  # sums are exact


def test_what_costs_less_is_kept_and_nothing_is_taken_from_others(scene):
    canvas, units, cells = scene

    def cost(candidate: np.ndarray) -> float:
        drawn = draw(candidate, canvas.taken, SIZE)
        return bits(canvas, candidate, SIZE) + 3500 * (1 - (drawn & units).sum() / (drawn | units).sum())

    found = flips.improved(canvas, units, cells, SIZE, cost, 3500)
    assert cost(found) < 0.97 * cost(cells)
    assert not (found & ~flips._Rate(canvas, SIZE).free).any()


def test_flips_made_together_are_apart_and_the_best_come_first():
    gains = np.zeros((20, 20))
    gains[5, 5], gains[5, 7], gains[5, 9], gains[15, 15] = 2, 3, 1, -1
    assert flips._apart(gains).tolist() == [[5, 7]]
    gains[5, 11] = 1
    assert flips._apart(gains).tolist() == [[5, 7], [5, 11]]
    assert len(flips._apart(np.zeros((3, 3)))) == 0
