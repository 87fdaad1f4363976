"""What a file is, how large, how many pictures it holds, what is left behind: refused or told at once."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sedic.bitstream import SedicFile
from sedic.picture import MOST_PIXELS, PictureError, read_picture

from .made import png, read, tiff

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp", "tif", "bmp", "avif", "ppm", "tga", "jp2"])
def test_a_cut_file_of_any_format_is_one_sentence(ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    for length in (len(whole) // 3, len(whole) * 2 // 3):
        path.write_bytes(whole[:length])
        with pytest.raises(PictureError, match=rf"a\.{ending} is not a picture that can be read \(.+\); "):
            read(path)


def test_random_damage_is_a_picture_or_one_sentence(tmp_path):
    rng = np.random.default_rng(1)
    for ending in ("png", "jpg", "gif", "webp", "tif", "avif"):
        path = tmp_path / f"a.{ending}"
        Image.fromarray(NOISE[:16, :16]).save(path)
        whole = path.read_bytes()
        for _ in range(40):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), 3):
                data[place] = rng.integers(256)
            path.write_bytes(data)
            try:
                assert read(path)[0].ndim == 3
            except PictureError as error:
                assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("width", "height"), [(16385, 16), (16, 16385), (16384, 16384), (10**6, 10**6), (70000, 70000)]
)
def test_too_large_a_picture_is_refused_before_a_pixel_is_decoded(width, height, tmp_path):
    bomb = png(16, 16, 8, 0, bytes(256))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    bomb = bomb[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + bomb[33:]
    (tmp_path / "a.png").write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(PictureError, match=r"a\.png .*make it smaller") as caught:
        read_picture(tmp_path / "a.png")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"{width}×{height}" in str(caught.value) or str(MOST_PIXELS) in str(caught.value)
    assert most < 20 << 20


@pytest.mark.parametrize(
    ("ending", "options"),
    [("gif", {}), ("png", {}), ("webp", {}), ("tif", {}), ("mpo", {}), ("avif", {})],
)
def test_the_first_of_several_pictures_is_read_and_the_others_are_told(ending, options, tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], **options)
    pixels, told = read(tmp_path / f"a.{ending}")
    assert pixels[8, 8, 0] > 240
    assert pixels[8, 8, 2] < 20
    assert "holds 3 " in told
    assert "the first is read" in told


def test_one_picture_is_no_word_worth(tmp_path):
    for ending in ("gif", "png", "webp", "tif", "jpg", "avif", "bmp"):
        Image.fromarray(NOISE).save(tmp_path / f"a.{ending}")
        assert not read(tmp_path / f"a.{ending}")[1]


def exif_of(**more: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x0131], exif[0x010F], exif[0x013B] = 1, "an editor", "a maker", "  "
    if "date" in more:
        exif.get_ifd(0x8769)[0x9003] = more["date"]
    if "artist" in more:
        exif[0x013B] = more["artist"]
    if "place" in more:
        exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    return exif


def test_what_a_person_would_miss_is_told_and_nothing_else(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(NOISE).save(path, exif=exif_of())
    assert not read(path)[1]
    Image.fromarray(NOISE).save(path, exif=exif_of(date="2024:05:01 10:00:00", artist="A. Name", place=True))
    told = read(path)[1]
    assert "the place where it was taken, its date, its author" in told
    assert "a .sedic file does not keep that" in told
    assert not read(path, metadata=False)[1]


def test_the_workflow_in_a_png_is_told(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "{}")
    Image.fromarray(NOISE).save(tmp_path / "a.png", pnginfo=text)
    assert "the workflow that made it" in read(tmp_path / "a.png")[1]


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def test_heic_without_its_package_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(HEIC)
    with pytest.raises(PictureError, match=r"a\.heic is HEIC.*pip install pillow-heif"):
        read(tmp_path / "a.heic")


def test_heic_is_read_where_its_package_is(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    smooth = Image.fromarray(NOISE[:2, :2]).resize((64, 64), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "a.heic", quality=95)
    assert np.abs(read(tmp_path / "a.heic")[0] - np.asarray(smooth, int)).mean() < 6


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "drawing"),
        (b"%PDF-1.7 ", "PDF"),
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"\0\0\0\x18ftypcrx " + bytes(40), "raw"),
        (b"#?RADIANCE\n", "HDR"),
        (b"\xff\xd8\xff\xc0\0\x11\x0c" + bytes(40), "12 bits"),
        (tiff(4, 4, 64, 1, bytes(128)), "float or 12-bit"),
        (b"", "empty"),
    ],
)
def test_what_pillow_cannot_open_is_named_with_what_to_do(head, told, tmp_path, monkeypatch):
    Image.init()
    # Without the plugin for JPEG XL.
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind != "JXL"])
    (tmp_path / "a.dat").write_bytes(head)
    with pytest.raises(PictureError, match=told):
        read(tmp_path / "a.dat")


def test_drawings_in_postscript_are_never_run(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.eps")
    with pytest.raises(PictureError, match=r"drawing \(EPS\)"):
        read(tmp_path / "a.eps")


@pytest.mark.parametrize("tag", [(254, 1), (50706, 0x104)], ids=["preview", "raw file"])
def test_the_stamp_of_a_raw_file_is_not_taken_for_the_photograph(tag, tmp_path):
    (tmp_path / "a.dng").write_bytes(tiff(16, 16, 8, 1, bytes(256), tag))
    with pytest.raises(PictureError, match=r"preview \(16×16\)"):
        read(tmp_path / "a.dng")


def test_a_sedic_file_as_a_picture_is_told(tmp_path):
    from sedic.codec import encode_reference, pack
    from sedic.semantics import Semantics

    file: SedicFile = pack(encode_reference(NOISE, "av1:200"), Semantics("noise"))
    file.write(tmp_path / "a.sedic")
    assert "its blurred reference is read" in read(tmp_path / "a.sedic")[1]


def test_files_that_are_open_and_pipes_are_read(tmp_path):
    data = io.BytesIO()
    Image.fromarray(NOISE).save(data, "PNG")
    data.seek(0)
    np.testing.assert_array_equal(read_picture(data), NOISE)


def test_damaged_exif_leaves_the_picture_as_it_lies_and_is_told(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.png", exif=b"Exif\0\0nonsense")
    pixels, told = read(tmp_path / "a.png")
    assert pixels.tolist() == NOISE.tolist()
    assert "EXIF" in told
