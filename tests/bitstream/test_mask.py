"""Mask coder 1: grids come back, decoded masks are stable, real masks cost little."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedic.bitstream.coder import Decoder, Encoder
from sedic.bitstream.mask.grid import cell_size, from_grid, grid_shape, to_grid
from sedic.bitstream.mask.tree import TreeCoder
from sedic.semantics import read_mask as read_mask_picture


def encode(grids: list[np.ndarray | None], taken: np.ndarray) -> bytes:
    encoder, coder = Encoder(), coder_of(taken)
    for grid in grids:
        coder.write_grid(encoder, grid)
    return encoder.finish()


def decode(data: bytes, taken: np.ndarray, count: int) -> list[np.ndarray | None]:
    decoder, coder = Decoder(data), coder_of(taken)
    grids = [coder.read(decoder) for _ in range(count)]
    assert decoder.again() == data
    return grids


def coder_of(taken: np.ndarray) -> TreeCoder:
    rows, columns = taken.shape
    coder = TreeCoder(8 * columns, 8 * rows)
    coder.taken = taken
    return coder


def disc(rows: int, columns: int, y: float, x: float, radius: float) -> np.ndarray:
    down, right = np.mgrid[:rows, :columns]
    return (down - y) ** 2 + (right - x) ** 2 <= radius**2


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 3), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_any_grids_come_back_without_the_cells_taken_before(rows, columns, count, share, seed):
    random = np.random.default_rng(seed)
    taken = random.random((rows, columns)) < 0.2
    grids = [random.random((rows, columns)) < share for _ in range(count)]
    decoded = decode(encode(grids, taken), taken, count)
    for grid, again in zip(grids, decoded, strict=True):
        np.testing.assert_array_equal(again, grid & ~taken)
        taken = taken | grid


def test_no_mask_and_an_empty_one_are_told_apart_and_cost_a_byte_at_most():
    taken = np.zeros((64, 96), bool)
    data = encode([None, np.zeros((64, 96), bool)], taken)
    assert len(data) <= 2
    absent, empty = decode(data, taken, 2)
    assert absent is None
    assert empty is not None
    assert not empty.any()


def test_cells_taken_by_earlier_objects_cost_nothing():
    taken = np.ones((64, 96), bool)
    taken[10, 10] = False
    assert len(encode([~taken], taken)) <= 1


def test_a_cell_is_inside_when_at_least_half_of_its_pixels_are():
    mask = np.zeros((10, 16), bool)
    mask[:4, :8] = True  # 32 of 64
    mask[:4, 8:15] = True  # 28 of 64
    mask[8, :8] = True  # 8 of the 16 that the picture's last rows have
    np.testing.assert_array_equal(to_grid(mask, 8), [[True, False], [True, False]])


@pytest.mark.parametrize(
    ("size", "cell", "shape"),
    [((768, 512), 8, (64, 96)), ((1, 1), 8, (1, 1)), ((2048, 2048), 8, (256, 256)), ((2049, 2048), 16, (128, 129))],
)
def test_cells_double_until_the_grid_is_small_enough(size, cell, shape):
    assert cell_size(*size) == cell
    assert grid_shape(*size) == shape


@pytest.mark.parametrize("size", [(768, 512), (53, 37), (7, 3), (2050, 40), (4000, 1100)])
def test_a_decoded_mask_gives_its_own_grid_again(size):
    cell, (rows, columns) = cell_size(*size), grid_shape(*size)
    grid = disc(rows, columns, rows / 2, columns / 3, rows / 3)
    mask = from_grid(grid, cell, *size)
    assert mask.shape == size[::-1]
    np.testing.assert_array_equal(to_grid(mask, cell), grid)


def test_a_simple_shape_costs_far_less_than_its_cells():
    grid = disc(64, 96, 30, 40, 20)
    assert len(encode([grid], np.zeros_like(grid))) < 40  # 768 bytes of cells


def test_kodak_masks_cost_little_and_stay_near_the_original(shared_data):
    totals, overlaps = [], []
    for path in sorted((shared_data / "kodak").glob("kodim??.json")):
        masks = [read_mask_picture(p) for p in sorted(path.parent.glob(f"{path.stem}_obj*.png"))]
        height, width = masks[0].shape
        cell = cell_size(width, height)
        grids = [to_grid(mask, cell) for mask in masks]
        totals.append(len(encode(grids, np.zeros_like(grids[0]))))
        for mask, grid in zip(masks, grids, strict=True):
            again = from_grid(grid, cell, width, height)
            overlaps.append((mask & again).sum() / (mask | again).sum())
    assert statistics.mean(totals) < 80  # an adaptive ten-cell context: 137
    assert statistics.mean(overlaps) > 0.92
