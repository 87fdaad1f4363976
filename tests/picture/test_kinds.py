"""Numbers of any depth and kind become the levels that were meant, in the way up that was meant."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest
from PIL import Image

from sedic.picture import PictureError, read_picture

from .made import png, png_of, read, tiff

RAMP = np.arange(0, 256, 5, dtype=np.uint8)[None].repeat(4, 0)  # 4 high, 52 wide


def test_sixteen_bits_of_colour_keep_their_range(tmp_path):
    deep = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], -1).astype(np.uint16) * 257
    (tmp_path / "a.png").write_bytes(png_of(deep))
    pixels, told = read(tmp_path / "a.png")
    assert np.abs(pixels - deep // 257).max() <= 1
    assert not told


@pytest.mark.parametrize("bits", [8, 16])
def test_tiffs_whose_white_is_zero_are_turned_over(bits, tmp_path):
    data = RAMP.tobytes() if bits == 8 else (RAMP.astype("<u2") * 257).tobytes()
    (tmp_path / "a.tif").write_bytes(tiff(52, 4, bits, 0, data))
    pixels, told = read(tmp_path / "a.tif")
    assert np.abs(pixels[..., 0] - (255 - RAMP.astype(int))).max() <= 1
    assert not told


def test_twelve_bits_are_spread_over_the_whole_range(tmp_path):
    levels = RAMP.astype(int) * 4095 // 255
    packed = bytearray()
    for a, b in levels.reshape(-1, 2):
        packed += bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255))
    (tmp_path / "a.tif").write_bytes(tiff(52, 4, 12, 1, bytes(packed)))
    assert np.abs(read(tmp_path / "a.tif")[0][..., 0] - RAMP).max() <= 1


def test_twelve_bits_of_data_in_sixteen_are_told(tmp_path):
    Image.fromarray(RAMP.astype(np.uint16) * 16).save(tmp_path / "a.png")
    pixels, told = read(tmp_path / "a.png")
    assert pixels.max() < 20
    assert "nearly black" in told
    assert "12 bits" in told


def test_floats_from_0_to_1_are_levels(tmp_path):
    Image.fromarray(RAMP.astype(np.float32) / 255).save(tmp_path / "a.tif")
    assert np.abs(read(tmp_path / "a.tif")[0][..., 0] - RAMP).max() <= 1


@pytest.mark.parametrize("change", [lambda v: v, lambda v: v / 10 - 10, lambda v: np.where(v > 99, np.nan, v / 255)])
def test_floats_of_another_range_are_refused(change, tmp_path):
    Image.fromarray(change(RAMP.astype(np.float32)).astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(PictureError, match=r"a\.tif holds"):
        read(tmp_path / "a.tif")


def test_a_few_floats_above_1_are_cut_off_and_told(tmp_path):
    values = RAMP.astype(np.float32) / 255
    values[0, 0] = 9
    Image.fromarray(values).save(tmp_path / "a.tif")
    pixels, told = read(tmp_path / "a.tif")
    assert pixels[0, 0, 0] == 255
    assert "cut off" in told


def test_integers_of_32_bits_are_told_or_refused(tmp_path):
    for factor, said in ((1, "255 is taken as white"), (257, "65535 is taken as white")):
        Image.fromarray(RAMP.astype(np.int32) * factor).save(tmp_path / "a.tif")
        pixels, told = read(tmp_path / "a.tif")
        assert np.abs(pixels[..., 0] - RAMP).max() <= 1
        assert said in told
    for values in (RAMP.astype(np.int32) * 99999, RAMP.astype(np.int32) - 100):
        Image.fromarray(values).save(tmp_path / "a.tif")
        with pytest.raises(PictureError, match="holds integers from"):
            read(tmp_path / "a.tif")


def test_portable_greymaps_of_any_depth_keep_their_range(tmp_path):
    for most in (255, 1023, 4095, 65535):
        levels = RAMP.astype(int) * most // 255
        data = levels.astype(">u2" if most > 255 else np.uint8).tobytes()
        (tmp_path / "a.pgm").write_bytes(b"P5 52 4 %d\n" % most + data)
        pixels, told = read(tmp_path / "a.pgm")
        assert np.abs(pixels[..., 0] - RAMP).max() <= 1
        assert not told


TRANSPARENT = [
    ("grey of 16 bits", png_of(np.array([[1, 300, 301]], np.uint16), (b"tRNS", struct.pack(">H", 300))), 1),
    ("grey of 4 bits", png(4, 1, 4, 0, b"\x0f\x37", (b"tRNS", struct.pack(">H", 15))), 1),
    ("grey of 1 bit", png(4, 1, 1, 0, b"\x40", (b"tRNS", struct.pack(">H", 1))), 1),
    ("grey and alpha", png(3, 1, 8, 4, bytes((10, 255, 20, 0, 30, 255))), 1),
    ("grey and alpha of 16 bits", png(3, 1, 16, 4, bytes((10, 0, 255, 255, 20, 0, 0, 0, 30, 0, 255, 255))), 1),
    ("colour of 16 bits", png_of(np.array([[[9, 9, 9], [999, 5, 70], [0, 0, 0]]], np.uint16) * 40,
                                 (b"tRNS", struct.pack(">3H", 39960, 200, 2800))), 1),
    ("a palette", png(3, 1, 8, 3, bytes((0, 1, 0)), (b"PLTE", bytes((9, 9, 9, 50, 60, 70))), (b"tRNS", b"\xff\0")), 1),
]  # fmt: skip


@pytest.mark.parametrize(("data", "place"), [row[1:] for row in TRANSPARENT], ids=[row[0] for row in TRANSPARENT])
def test_what_png_calls_transparent_is_white_and_nothing_else_is(data, place, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    pixels, told = read(tmp_path / "a.png")
    assert pixels[0, place].tolist() == [255, 255, 255]
    assert (np.delete(pixels[0], place, 0)[:, 0] < 255).any()
    assert "transparent in places" in told


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif"])
def test_every_orientation_is_turned_upright_in_every_format(orientation, ending, tmp_path):
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:20, :32, 0], upright[20:, 32:, 2] = 255, 255  # red above left, blue below right
    undone = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
              6: np.rot90, 7: lambda a: np.rot90(a.swapaxes(0, 1), 2), 8: lambda a: np.rot90(a, 3)}  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(undone[orientation](upright))).save(tmp_path / f"a.{ending}", exif=exif)
    pixels, _ = read(tmp_path / f"a.{ending}")
    assert pixels.shape == upright.shape
    assert np.abs(pixels[::10, ::16] - upright[::10, ::16].astype(int)).mean() < 12


def given(levels: np.ndarray) -> list:
    """The same picture as programs hold it, (H, W, 3)."""
    torch = sys.modules.get("torch") or pytest.importorskip("torch")
    part = levels.astype(np.float32) / 255
    return [
        levels,
        levels.astype(np.int64),
        levels.astype(np.uint16) * 257,
        part,
        part.astype(np.float64)[None],
        np.moveaxis(part, 2, 0),
        Image.fromarray(levels),
        torch.from_numpy(levels),
        torch.from_numpy(part)[None].requires_grad_(),
        torch.from_numpy(part).permute(2, 0, 1)[None],
        torch.from_numpy(part).half(),
        np.dstack([levels, np.full(levels.shape[:2], 255, np.uint8)]),
    ]


@pytest.mark.filterwarnings("ignore:The picture holds wide integers")
def test_arrays_pictures_and_tensors_are_read_like_files():
    levels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    for source in given(levels):
        np.testing.assert_array_equal(read_picture(source), levels)
    np.testing.assert_array_equal(read_picture(levels[..., 0])[..., 2], levels[..., 0])
    np.testing.assert_array_equal(read_picture(levels[..., :1] > 99)[..., 1], (levels[..., 0] > 99) * 255)


def test_a_tensor_of_sixteen_bit_brain_floats_is_near():
    torch = pytest.importorskip("torch")
    assert np.abs(read_picture(torch.full((4, 4, 3), 0.5, dtype=torch.bfloat16)).astype(int) - 128).max() <= 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), "2×8×8×3"),
        (np.zeros((8, 8, 7), np.uint8), "8×8×7"),
        (np.zeros(8, np.uint8), "array of 8"),
        (np.full((8, 8, 3), np.nan, np.float32), "NaN"),
        (np.full((8, 8, 3), 200.0, np.float32), "0 … 1"),
        (np.full((8, 8, 3), -1.0, np.float32), "0 … 1"),
        (np.full((8, 8, 3), "a"), "type <U1"),
        (np.zeros((0, 8, 3), np.uint8), "8×0"),
        (np.full((8, 8), 70000), "70000"),
    ],
)
def test_an_array_that_is_no_picture_is_one_sentence(source, told):
    with pytest.raises(PictureError, match="^The picture ") as caught:
        read_picture(source)
    assert told in str(caught.value)


def test_the_callers_array_is_left_as_it_was():
    levels = np.full((4, 4, 3), 7, np.uint8)
    read_picture(levels)[:] = 0
    assert (levels == 7).all()
