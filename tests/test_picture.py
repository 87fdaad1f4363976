"""Whatever a camera or an editor saves is read as plain RGB; writing leaves a whole picture or the old one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from sedic.picture import PictureError, read_picture, to_rgb, write_picture

RED, BLUE = (255, 0, 0), (0, 0, 255)


def two_colours() -> Image.Image:
    """4 wide, 2 high, red on the left."""
    image = Image.new("RGB", (4, 2), RED)
    image.paste(BLUE, (2, 0, 4, 2))
    return image


@pytest.mark.parametrize(("orientation", "first"), [(1, RED), (3, BLUE), (6, RED), (8, BLUE)])
def test_exif_orientation_is_applied(orientation, first, tmp_path):
    image = two_colours()
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.png", exif=exif)
    pixels = read_picture(tmp_path / "turned.png")
    assert pixels.shape == ((2, 4, 3) if orientation in (1, 3) else (4, 2, 3))
    assert tuple(pixels[0, 0]) == first


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0", b"Exif\0\0", b"Exif\0\0nonsense", b"Exif\0\0MM\0*\xff\xff\xff\xff"])
def test_damaged_exif_costs_no_traceback(exif, tmp_path):
    two_colours().save(tmp_path / "a.jpg", exif=exif)
    try:
        assert read_picture(tmp_path / "a.jpg").shape == (2, 4, 3)
    except PictureError as error:
        assert "a.jpg" in str(error)  # noqa: PT017


def test_transparency_is_filled_with_white_and_told(tmp_path):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match="transparent"):
        pixels = read_picture(tmp_path / "a.png")
    assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_half_transparent_black_becomes_grey_and_palettes_count():
    with pytest.warns(UserWarning, match="transparent"):
        assert abs(int(to_rgb(Image.new("LA", (1, 1), (0, 128)))[0, 0, 0]) - 127) <= 1
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([10, 20, 30])
    palette.info["transparency"] = 0
    with pytest.warns(UserWarning, match="transparent"):
        assert to_rgb(palette).tolist() == [[[255, 255, 255]]]


def test_an_opaque_alpha_channel_is_nothing_to_warn_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_rgb(two_colours().convert("RGBA")).tolist() == np.asarray(two_colours()).tolist()


def test_sixteen_bits_keep_their_range(tmp_path):
    Image.fromarray(np.array([[0, 257, 32768, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV"])
def test_other_modes_become_rgb(mode):
    pixels = to_rgb(Image.new("RGB", (3, 2), "white").convert(mode))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (2, 3, 3)
    assert pixels.min() >= 254


def test_cmyk_file_keeps_its_colours(tmp_path):
    two_colours().resize((16, 8), Image.Resampling.NEAREST).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    pixels = read_picture(tmp_path / "print.jpg").astype(int)
    assert pixels[4, 2, 0] > 200 > 60 > pixels[4, 2, 2]
    assert pixels[4, 13, 2] > 200 > 60 > pixels[4, 13, 0]


def test_float_pictures_run_from_0_to_1():
    assert to_rgb(Image.fromarray(np.array([[0.0, 0.5, 1.0, 7.0]], np.float32)))[0, :, 0].tolist() == [0, 128, 255, 255]


def test_pixels_can_be_written_to():
    to_rgb(two_colours())[0, 0] = 7


def test_absent_picture_is_told_as_absent(tmp_path):
    with pytest.raises(PictureError, match=r"There is no picture .*a\.png"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", bytes(range(256)), b"GIF89a\1\0\1\0\0\0\0"])
def test_bytes_that_are_no_picture_are_one_sentence(content, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PictureError, match=r"a\.png is not a picture"):
        read_picture(tmp_path / "a.png")


def test_cut_picture_is_an_error(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(rows).save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(PictureError, match="is not a picture"):
            read_picture(tmp_path / name)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match="is not a picture"):
        read_picture(tmp_path)


def test_written_picture_reads_back_exactly_and_leaves_nothing_beside_it(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    write_picture(tmp_path / "out.png", pixels)
    np.testing.assert_array_equal(read_picture(tmp_path / "out.png"), pixels)
    write_picture(tmp_path / "out.png", pixels[..., 0])
    np.testing.assert_array_equal(read_picture(tmp_path / "out.png")[..., 1], pixels[..., 0])
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.parametrize(
    "name", ["out.nonsense", "out", "out.psd", "absent/out.png", "file/out.png", "folder.png", "."]
)
def test_unwritable_name_is_one_sentence_and_leaves_nothing_behind(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    path = type(tmp_path)(".") if name == "." else tmp_path / name
    with pytest.raises(PictureError, match="cannot be written"):
        write_picture(path, np.zeros((2, 2, 3), np.uint8))
    assert sorted(tmp_path.rglob("*")) == before


def test_failed_writing_keeps_the_old_picture(tmp_path):
    path = tmp_path / "out.webp"
    write_picture(path, np.zeros((2, 2, 3), np.uint8))
    old = path.read_bytes()
    with pytest.raises(PictureError):
        write_picture(path, np.zeros((1, 20000, 3), np.uint8))  # WebP holds sides of up to 16,383
    assert path.read_bytes() == old
