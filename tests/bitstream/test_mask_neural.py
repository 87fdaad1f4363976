"""Mask coder 2: what is written is read, drawn masks keep their cells, real masks cost little and come back close."""

from __future__ import annotations

import hashlib
import itertools
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedic.bitstream import SedicFile
from sedic.bitstream.coder import BitstreamError, Decoder, Encoder
from sedic.bitstream.mask import MaskChoice, context
from sedic.bitstream.mask.cell_model import bits
from sedic.bitstream.mask.context import CODED, MARGIN, contexts, fixed_contexts
from sedic.bitstream.mask.lattice import CELL_SIZES, MOST_CELLS, Lattice, cells_of, draw
from sedic.bitstream.mask.neural import MaskGrid, NeuralCoder
from sedic.semantics import SceneObject, Semantics
from sedic.semantics import read_mask as read_mask_picture


def encode(masks: list[np.ndarray | None], size: tuple[int, int], choice: MaskChoice = MaskChoice()) -> bytes:
    encoder, coder = Encoder(), NeuralCoder(*size)
    coder.prepare(masks, choice)
    for mask in masks:
        coder.write(encoder, mask)
    return encoder.finish()


def decode(data: bytes, size: tuple[int, int], count: int) -> list[MaskGrid | None]:
    decoder, coder = Decoder(data), NeuralCoder(*size)
    grids = [coder.read(decoder) for _ in range(count)]
    assert decoder.again() == data
    return grids


def pictures(grids: list[MaskGrid | None], size: tuple[int, int]) -> list[np.ndarray | None]:
    coder = NeuralCoder(*size)
    return [None if grid is None else coder.picture(grid) for grid in grids]


def disc(width: int, height: int, x: float, y: float, radius: float) -> np.ndarray:
    down, right = np.mgrid[:height, :width]
    return (down - y) ** 2 + (right - x) ** 2 <= radius**2


def blots(random: np.random.Generator, width: int, height: int, count: int) -> list[np.ndarray | None]:
    """Masks of every kind: noise, discs, nothing, everything, None; without overlaps."""
    masks: list[np.ndarray | None] = []
    taken = np.zeros((height, width), bool)
    for _ in range(count):
        kind = random.integers(6)
        mask = np.zeros((height, width), bool)
        if kind == 0:
            mask = random.random((height, width)) < random.random()
        elif kind < 4:
            mask = disc(width, height, *(random.random(2) * [width, height]), random.random() * max(width, height) / 2)
        elif kind == 4:
            mask = ~mask
        masks.append(mask & ~taken if random.random() < 0.9 else None)
        taken = taken | mask
    return masks


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 4), st.sampled_from([None, 1, 5, 8, 99]), st.integers(0))
def test_any_masks_are_read_as_written_and_written_again_the_same(width, height, count, cell, seed):
    random = np.random.default_rng(seed)
    masks = blots(random, width, height, count)
    data = encode(masks, (width, height), MaskChoice(cell))
    grids = decode(data, (width, height), count)
    encoder, coder = Encoder(), NeuralCoder(width, height)
    for grid in grids:
        coder.write_grid(encoder, grid)
    assert encoder.finish() == data
    drawn = pictures(grids, (width, height))
    assert [d is None for d in drawn] == [m is None for m in masks]
    present = [d for d in drawn if d is not None]
    assert all(d.shape == (height, width) for d in present)
    assert not any((a & b).any() for a, b in itertools.combinations(present, 2))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4), st.integers(0))
def test_masks_that_were_decoded_and_are_packed_again_do_not_drift(width, height, count, seed):
    size = width, height
    masks = blots(np.random.default_rng(seed), width, height, count)
    first = pictures(decode(encode(masks, size), size, count), size)
    second = pictures(decode(encode(first, size), size, count), size)
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(before, after)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(CELL_SIZES), st.integers(0))
def test_drawn_cells_give_the_same_cells_again_and_leave_what_is_taken(height, width, cell, seed):
    random = np.random.default_rng(seed)
    taken = random.random((height, width)) < random.random()
    cells = random.random((-(-height // cell), -(-width // cell))) < random.random()
    cells &= cells_of(np.ones_like(taken), taken, cell)
    drawn = draw(cells, taken, cell)
    assert not (drawn & taken).any()
    np.testing.assert_array_equal(cells_of(drawn, taken, cell), cells)


def test_a_disc_is_drawn_rounder_than_its_cells():
    mask = disc(256, 256, 120, 130, 70)
    nothing = np.zeros_like(mask)
    cells = cells_of(mask, nothing, 8)
    blocks = cells.repeat(8, axis=0).repeat(8, axis=1)
    assert (draw(cells, nothing, 8) ^ mask).sum() < 0.6 * (blocks ^ mask).sum()


def test_a_tiny_mask_does_not_vanish():
    mask = np.zeros((512, 768), bool)
    mask[300, 401] = True
    (grid,) = decode(encode([mask], (768, 512)), (768, 512), 1)
    assert grid is not None
    assert grid.cells.sum() == 1
    assert NeuralCoder(768, 512).picture(grid)[297:304, 398:405].any()


@pytest.mark.parametrize("cell", [4, 8, 16])
def test_the_size_of_cells_can_be_chosen(cell):
    mask = disc(768, 512, 300, 200, 120)
    (grid,) = decode(encode([mask], (768, 512), MaskChoice(cell)), (768, 512), 1)
    assert grid is not None
    assert grid.cell == cell


def test_a_higher_price_buys_finer_cells_and_a_closer_mask():
    mask = disc(768, 512, 300, 200, 80) | disc(768, 512, 420, 260, 40)
    found = []
    for price in (5, 400):
        data = encode([mask], (768, 512), MaskChoice(price=price))
        (drawn,) = pictures(decode(data, (768, 512), 1), (768, 512))
        found.append((len(data), (drawn & mask).sum() / (drawn | mask).sum()))
    assert found[0][0] < found[1][0]
    assert found[0][1] < found[1][1]


@pytest.mark.parametrize("size", [(16384, 4096), (1, 16384), (2049, 2048), (1, 1)])
def test_the_grid_of_any_picture_is_bounded(size):
    lattice = Lattice.of(*size)
    assert lattice.sizes()
    assert all(np.prod(lattice.grid_shape(cell)) <= MOST_CELLS for cell in lattice.sizes())


def test_damaged_bytes_give_masks_or_the_one_exception():
    random = np.random.default_rng(3)
    sound = encode([disc(200, 150, 80, 70, 50), disc(200, 150, 120, 70, 50)], (200, 150))
    for trial in range(150):
        data = bytearray(sound) if trial % 2 else bytearray(random.bytes(int(random.integers(40))))
        if trial % 2:
            data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        decoder, coder = Decoder(bytes(data), 500_000), NeuralCoder(200, 150)
        try:
            grids = [coder.read(decoder) for _ in range(3)]
        except BitstreamError:
            continue
        assert all(g is None or coder.picture(g).shape == (150, 200) for g in grids)


def test_a_context_knows_nothing_of_the_cell_itself_or_of_those_behind_it():
    assert all(y < 0 or (y == 0 and x < 0) for y, x in CODED)
    assert abs(CODED).max() <= MARGIN
    random = np.random.default_rng(0)
    cells = random.random((12, 17)) < 0.5
    fixed = fixed_contexts(np.zeros_like(cells), 0)
    changed = cells.copy()
    changed[6, 8:] ^= True
    changed[7:] ^= True
    np.testing.assert_array_equal(contexts(cells, fixed)[6, :9], contexts(changed, fixed)[6, :9])


def test_packed_contexts_are_the_contexts_and_different_ones_are_told_apart_even_where_their_numbers_agree(monkeypatch):
    random = np.random.default_rng(1)
    taken = random.random((12, 17)) < 0.2
    cells = (random.random((12, 17)) < 0.5) & ~taken
    for number, owned in ((0, taken & False), (2, taken)):
        expected = np.packbits(contexts(cells & ~owned, fixed_contexts(owned, number))[~owned], axis=-1)
        packed = context.packed_contexts(cells & ~owned, owned, number)
        np.testing.assert_array_equal(packed, expected)
    rows = np.concatenate([packed, packed[::-1]])
    for mix in (context.MIX, 0):
        monkeypatch.setattr(context, "MIX", mix)
        first, place = context.distinct(rows)
        assert len(first) == len({row.tobytes() for row in packed})
        np.testing.assert_array_equal(rows[first][place], rows)


def test_a_writer_who_knows_all_cells_counts_the_work_of_the_reader_who_does_not():
    encoder, coder = Encoder(), NeuralCoder(768, 512)
    for mask in (disc(768, 512, 300, 200, 120), disc(768, 512, 420, 260, 90), disc(768, 512, 700, 100, 6)):
        coder.write(encoder, mask)
    decoder, reading = Decoder(encoder.finish()), NeuralCoder(768, 512)
    for _ in range(3):
        reading.read(decoder)
    assert decoder.work == encoder.work


def test_what_cells_are_said_to_cost_is_what_they_cost():
    mask = disc(768, 512, 300, 200, 120)
    coder = NeuralCoder(768, 512)
    cells = cells_of(mask, coder.canvas.taken, 8)
    assert abs(bits(coder.canvas, cells, 8) / 8 - len(encode([mask], (768, 512), MaskChoice(8)))) < 2


AS_THEY_ARE = MaskChoice(price=36, smooth=False)
GOLDEN = "6815f81c6ee7306f89488e64c024fea94ee4b154a147a5bc434018b842c513d0"


def golden_masks() -> list[np.ndarray | None]:
    return [disc(768, 512, 300, 200, 120), None, disc(768, 512, 420, 260, 90), disc(768, 512, 700, 100, 6)]


def digest(choice: MaskChoice = AS_THEY_ARE) -> str:
    data = encode(golden_masks(), (768, 512), choice)
    drawn = pictures(decode(data, (768, 512), 4), (768, 512))
    return hashlib.sha256(data + b"".join(np.packbits(d).tobytes() for d in drawn if d is not None)).hexdigest()


def test_bytes_and_drawn_masks_are_those_of_every_other_machine():
    assert digest() == GOLDEN


def test_bytes_are_the_same_in_threads_and_in_a_process_of_other_instructions():
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda _: digest(), range(2))) == {GOLDEN}
    code = "from tests.bitstream.test_mask_neural import digest, MaskChoice; print(digest(), digest(MaskChoice()))"
    variables = {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "OPENBLAS_CORETYPE": "Prescott", "OMP_NUM_THREADS": "2"}
    environment = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True, env=environment)
    assert done.stdout.split() == [GOLDEN, digest(MaskChoice())], done.stderr


def test_kodak_masks_cost_at_most_sixty_five_bytes_and_come_back_close(shared_data):
    sizes, overlaps = [], []
    for path in sorted((shared_data / "kodak").glob("kodim??.json")):
        masks = [read_mask_picture(p) for p in sorted(path.parent.glob(f"{path.stem}_obj*.png"))]
        size = masks[0].shape[::-1]
        data = encode(masks, size)
        sizes.append(len(data))
        for mask, again in zip(masks, pictures(decode(data, size, len(masks)), size), strict=True):
            overlaps.append((mask & again).sum() / (mask | again).sum())
    assert statistics.mean(sizes) <= 65
    assert statistics.mean(overlaps) > 0.94


def ragged() -> np.ndarray:
    """A disc whose outline is noise."""
    random = np.random.default_rng(4)
    mask = disc(256, 192, 120, 96, 60)
    return mask ^ (random.random((24, 32)).repeat(8, 0).repeat(8, 1) < 0.15) & disc(256, 192, 120, 96, 76)


def test_smoothing_saves_bits_that_are_worth_more_than_what_it_loses():
    choice = MaskChoice(cell=8)
    plain, smooth = (encode([ragged()], (256, 192), replace(choice, smooth=s)) for s in (False, True))
    assert len(smooth) < len(plain)

    def cost(data: bytes) -> float:
        (drawn,) = pictures(decode(data, (256, 192), 1), (256, 192))
        return 8 * len(data) + 100 * choice.price * (1 - (drawn & ragged()).sum() / (drawn | ragged()).sum())

    assert cost(smooth) <= cost(plain)


def test_masks_are_not_smoothed_where_somebody_says_no():
    mask = ragged()
    (grid,) = decode(encode([mask], (256, 192), MaskChoice(cell=8, smooth=False)), (256, 192), 1)
    assert (
        grid.cells
        == cells_of(Lattice.of(256, 192).from_mask(mask), np.zeros(Lattice.of(256, 192).shape, bool), grid.cell)
    ).all()


def test_outlines_too_fine_to_be_read_in_time_get_coarser_cells(monkeypatch):
    monkeypatch.setattr("sedic.bitstream.sections.BASE_WORK", 29_000)
    monkeypatch.setattr("sedic.bitstream.sections.WORK_PER_BYTE", 0)
    file = SedicFile(256, 192, 1, 1, b"", Semantics("", (SceneObject("", "", ragged()),)))
    (written,) = SedicFile.from_bytes(file.to_bytes()).semantics.objects
    assert 0.5 < (written.mask & ragged()).sum() / (written.mask | ragged()).sum() < 0.9
    with pytest.raises(BitstreamError, match="repeat themselves"):
        replace(file, mask_choice=MaskChoice(cell=4)).to_bytes()
