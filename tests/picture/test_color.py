"""Colours are what the file says they are; what cannot be obeyed is told or refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from sedic.picture import PictureError, color, read_picture
from sedic.picture.containers import told_by_profile, told_colours

from . import made
from .made import png_of, read

COLOUR = (180, 90, 60)
PICTURE = np.full((8, 8, 3), COLOUR, np.uint8)
WIDE = {"Display P3": (made.P3, 0), "Adobe RGB": (made.ADOBE, 563 / 256), "ProPhoto": (made.PROPHOTO, 1.8)}


def near(pixels: np.ndarray, wanted, by: float = 2.0) -> bool:
    return bool(np.abs(pixels - np.asarray(wanted)).max() <= by)


@pytest.mark.parametrize("space", WIDE)
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif"])
def test_a_profile_of_a_wide_space_is_obeyed_in_every_format(space, ending, tmp_path):
    lossless = {"webp": {"lossless": True}, "jpg": {"quality": 100}, "avif": {"quality": 100}}.get(ending, {})
    path = tmp_path / f"a.{ending}"
    Image.fromarray(PICTURE).save(path, icc_profile=made.rgb_profile(*WIDE[space]), **lossless)
    pixels, told = read(path)
    assert near(pixels, made.seen(COLOUR, *WIDE[space]), 4 if lossless else 2)
    assert not near(pixels, COLOUR, 6)
    assert not told


def test_reds_of_a_phone_are_the_published_ones(tmp_path):
    red = np.full((4, 4, 3), (234, 51, 35), np.uint8)  # sRGB's red in Display P3
    Image.fromarray(red).save(tmp_path / "a.png", icc_profile=made.rgb_profile(*WIDE["Display P3"]))
    assert near(read(tmp_path / "a.png")[0], (255, 0, 0))


def test_a_profile_of_srgb_leaves_every_pixel_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    rounded = made.rgb_profile((made.D65, (0.6408, 0.33), (0.30, 0.60), (0.15, 0.06)), 0)
    profiles = [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), made.rgb_profile(made.REC_709, 0)]
    for icc in (*profiles, rounded):
        Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=icc)
        np.testing.assert_array_equal(read(tmp_path / "a.png")[0], pixels)


def test_transparency_stays_where_it_is_under_a_profile(tmp_path):
    image = Image.fromarray(PICTURE).convert("RGBA")
    image.putpixel((0, 0), (*COLOUR, 0))
    image.save(tmp_path / "a.png", icc_profile=made.rgb_profile(*WIDE["Adobe RGB"]))
    pixels, _ = read(tmp_path / "a.png")
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert near(pixels[1:], made.seen(COLOUR, *WIDE["Adobe RGB"]))


def test_palettes_have_profiles_too(tmp_path):
    Image.fromarray(PICTURE).quantize(4).save(tmp_path / "a.png", icc_profile=made.rgb_profile(*WIDE["ProPhoto"]))
    assert near(read(tmp_path / "a.png")[0], made.seen(COLOUR, *WIDE["ProPhoto"]), 3)


def test_grey_profiles_are_obeyed_with_all_bits(tmp_path):
    levels = np.array([[0, 20, 2000, 30000, 65535]], np.uint16).repeat(4, 0)
    expected = [made.seen((v / 257,) * 3, made.REC_709, 1.0)[0] for v in levels[0]]
    Image.fromarray((levels // 257).astype(np.uint8)).save(tmp_path / "8.png", icc_profile=made.grey_profile(1.0))
    assert near(read(tmp_path / "8.png")[0][0, 3:, 1], expected[3:])
    name = b"linear\0\0" + zlib.compress(made.grey_profile(1.0))
    (tmp_path / "16.png").write_bytes(png_of(levels, (b"iCCP", name)))
    assert near(read(tmp_path / "16.png")[0][0, :, 1], expected, 2)


def test_grey_pictures_with_a_profile_for_rgb_are_converted(tmp_path):
    Image.new("L", (4, 4), 100).save(tmp_path / "a.jpg", icc_profile=made.rgb_profile(made.REC_709, 1.0), quality=100)
    assert near(read(tmp_path / "a.jpg")[0], made.seen((100,) * 3, made.REC_709, 1.0))


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_inks_are_mixed_as_the_printers_profile_says(ending, tmp_path):
    inks = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    inks.save(tmp_path / f"a.{ending}", icc_profile=made.cmyk_profile())
    pixels, told = read(tmp_path / f"a.{ending}")
    assert near(pixels, (119, 119, 119), 4)  # L* = 50
    assert not told


def test_inks_without_a_profile_are_told(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    pixels, told = read(tmp_path / "a.tif")
    assert near(pixels, (255, 0, 0), 40)
    assert "CMYK without a profile" in told


def test_lab_is_converted(tmp_path):
    lab = ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(PICTURE), ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    image.save(tmp_path / "a.tif")
    assert near(read(tmp_path / "a.tif")[0], COLOUR, 3)


@pytest.mark.parametrize(
    ("icc", "why"),
    [
        (b"nonsense" * 40, "cannot be used"),
        (made.grey_profile(2.2), "it is for GRAY, the picture RGB"),
        (made.cmyk_profile(), "it is for CMYK, the picture RGB"),
        (made.rgb_profile(made.REC_709, 0).replace(b"XYZ \0\0\0\0", b"XYZ \0\0\0\1"), ""),
        (made.rgb_profile(made.REC_709, 0)[:300], "cannot be used"),
    ],
    ids=["nonsense", "grey", "inks", "reserved bytes", "cut"],
)
def test_a_profile_that_cannot_be_used_is_told_and_the_picture_is_read_without(icc, why, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png", icc_profile=icc)
    pixels, told = read(tmp_path / "a.png")
    assert near(pixels, COLOUR)
    assert why in told


def test_a_profile_that_makes_white_dark_is_none(tmp_path):
    dark = (made.D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
    icc = bytearray(made.rgb_profile(dark, 1.0))
    for tag in (b"rXYZ", b"gXYZ", b"bXYZ"):
        offset = struct.unpack_from(">I", icc, icc.index(tag) + 4)[0]
        icc[offset + 8 : offset + 20] = bytes(12)
    Image.fromarray(PICTURE).save(tmp_path / "a.png", icc_profile=bytes(icc))
    pixels, told = read(tmp_path / "a.png")
    assert near(pixels, COLOUR)
    assert "makes white dark" in told


def test_a_profile_that_cannot_be_unpacked_is_told(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(PICTURE, (b"iCCP", b"a\0\0not deflated")))
    assert "cannot be unpacked" in read(tmp_path / "a.png")[1]


def test_a_pillow_without_littlecms_says_so(tmp_path, monkeypatch):
    Image.fromarray(PICTURE).save(tmp_path / "a.png", icc_profile=made.rgb_profile(*WIDE["ProPhoto"]))
    check = features.check
    monkeypatch.setattr(color.features, "check", lambda what: what != "littlecms2" and check(what))
    pixels, told = read(tmp_path / "a.png")
    assert near(pixels, COLOUR)
    assert "LittleCMS" in told


def cicp(*points: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes(points)


def test_pngs_code_points_are_obeyed_and_go_before_a_profile(tmp_path):
    icc = b"wrong\0\0" + zlib.compress(made.rgb_profile(made.PROPHOTO, 1.8))
    for chunks in ([cicp(12, 13, 0, 1)], [cicp(12, 13, 0, 1), (b"iCCP", icc)]):
        (tmp_path / "a.png").write_bytes(png_of(PICTURE, *chunks))
        pixels, told = read(tmp_path / "a.png")
        assert near(pixels, made.seen(COLOUR, made.P3, 0))
        assert not told


def test_avifs_code_points_are_obeyed_where_there_is_no_profile(tmp_path):
    for icc, wanted in (
        (b"", made.seen(COLOUR, made.P3, 0)),
        (made.rgb_profile(made.PROPHOTO, 1.8), made.seen(COLOUR, made.PROPHOTO, 1.8)),
    ):
        Image.fromarray(PICTURE).save(tmp_path / "a.avif", icc_profile=icc, quality=100)
        data = (tmp_path / "a.avif").read_bytes()
        place = data.find(b"colrnclx") + 8
        assert place > 7
        (tmp_path / "a.avif").write_bytes(data[:place] + bytes((0, 12, 0, 13)) + data[place + 4 :])
        pixels, told = read(tmp_path / "a.avif")
        assert near(pixels, wanted, 4)
        assert not told


def test_the_colours_of_an_hdr_map_beside_the_picture_are_not_the_pictures(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.avif", quality=100)
    data = (tmp_path / "a.avif").read_bytes()
    place = data.index(b"ipco")
    other = struct.pack(">I", 19) + b"colrnclx" + bytes((0, 9, 0, 16, 0, 9, 128))  # a property that no item has
    end = place - 4 + int.from_bytes(data[place - 4 : place], "big")
    grown = bytearray(data[:end] + other + data[end:])
    for box in (b"ipco", b"iprp", b"meta"):
        at = grown.index(box) - 4
        grown[at : at + 4] = struct.pack(">I", int.from_bytes(grown[at : at + 4], "big") + len(other))
    assert told_colours(bytes(grown)) == told_colours(data) == {"cicp": (1, 13, True)}


def test_profiles_of_jpeg_2000_are_obeyed(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.jp2")
    data = (tmp_path / "a.jp2").read_bytes()
    at = data.index(b"colr") - 4
    box = b"colr\2\0\0" + made.rgb_profile(*WIDE["ProPhoto"])
    box = struct.pack(">I", 4 + len(box)) + box
    data = data[:at] + box + data[at + int.from_bytes(data[at : at + 4], "big") :]
    header = data.index(b"jp2h") - 4
    size = int.from_bytes(data[header : header + 4], "big") + len(box) - 15
    (tmp_path / "a.jp2").write_bytes(data[:header] + struct.pack(">I", size) + data[header + 4 :])
    assert near(read(tmp_path / "a.jp2")[0], made.seen(COLOUR, *WIDE["ProPhoto"]))


def test_a_picture_that_pillow_opened_has_its_files_colours(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(PICTURE, cicp(12, 13, 0, 1)))
    with Image.open(tmp_path / "a.png") as image:
        assert near(read_picture(image).astype(int), made.seen(COLOUR, made.P3, 0))


def test_code_points_of_srgb_change_nothing(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(PICTURE, cicp(1, 13, 0, 1)))
    assert read(tmp_path / "a.png")[0].tolist() == PICTURE.tolist()


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_with_what_to_do(transfer, name, tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(PICTURE, cicp(9, transfer, 0, 1)))
    with pytest.raises(PictureError, match=rf"a\.png is HDR \({name}\); save an SDR copy"):
        read(tmp_path / "a.png")


def test_hdr_in_avif_is_refused_too(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.avif")
    data = (tmp_path / "a.avif").read_bytes()
    place = data.index(b"colrnclx") + 8
    (tmp_path / "a.avif").write_bytes(data[:place] + bytes((0, 9, 0, 16)) + data[place + 4 :])
    with pytest.raises(PictureError, match="HDR"):
        read(tmp_path / "a.avif")


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_profile_may_say_that_a_picture_is_hdr(ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(PICTURE).save(path, icc_profile=made.rgb_profile(made.REC_709, 2.0, bytes((9, 16, 0, 1))))
    with pytest.raises(PictureError, match=rf"a\.{ending} is HDR \(PQ\); save an SDR copy"):
        read(path)
    icc = made.rgb_profile(made.REC_709, 0, bytes((1, 13, 0, 1)))
    endless = icc[:128] + b"\xff" * 4 + icc[132:]  # a table of more tags than there are bytes
    assert told_by_profile(icc) == told_by_profile(endless) == (1, 13, True)
    assert told_by_profile(icc[:131]) is told_by_profile(icc[:150]) is told_by_profile(icc[:-8]) is None
    Image.fromarray(PICTURE).save(path, icc_profile=icc, quality=100)
    assert near(read(path)[0], COLOUR)


@pytest.mark.parametrize("points", [(99, 13, 0, 1), (1, 99, 0, 1), (1, 13, 0, 0)])
def test_unknown_code_points_are_told(points, tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(PICTURE, cicp(*points)))
    pixels, told = read(tmp_path / "a.png")
    assert near(pixels, COLOUR)
    assert "not known here" in told


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100000))


def chromaticities(space) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(v * 100000) for pair in space for v in pair))


def test_pngs_gamma_and_primaries_are_obeyed(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_of(PICTURE, gamma(1.0)))
    assert near(read(path)[0], made.seen(COLOUR, made.REC_709, 1.0))
    path.write_bytes(png_of(PICTURE, gamma(1 / 2.2), chromaticities(made.P3)))
    assert near(read(path)[0], made.seen(COLOUR, made.P3, 0), 4)
    path.write_bytes(png_of(PICTURE[..., 0], gamma(1.0)))
    assert near(read(path)[0], made.seen(COLOUR[:1] * 3, made.REC_709, 1.0))


def test_the_gamma_that_srgb_goes_by_and_the_srgb_chunk_change_nothing(tmp_path):
    path = tmp_path / "a.png"
    for chunks in ([gamma(0.45455)], [gamma(0.45455), chromaticities(made.REC_709)], [(b"sRGB", b"\0"), gamma(1.0)]):
        path.write_bytes(png_of(PICTURE, *chunks))
        pixels, told = read(path)
        assert pixels.tolist() == PICTURE.tolist()
        assert not told


@pytest.mark.parametrize("chunks", [[gamma(0)], [gamma(1), (b"cHRM", bytes(32))]])
def test_an_impossible_gamma_is_told(chunks, tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(PICTURE, *chunks))
    pixels, told = read(tmp_path / "a.png")
    assert near(pixels, COLOUR)
    assert "impossible gamma" in told


def test_a_camera_that_says_adobe_rgb_in_exif_alone_is_obeyed(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", exif=exif, quality=100)
    assert near(read(tmp_path / "a.jpg")[0], made.seen(COLOUR, made.ADOBE, 563 / 256), 4)
