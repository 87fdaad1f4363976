"""What a folder's pictures are called is what the reader opens."""

from __future__ import annotations

import io
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.picture import PictureError, endings, picture_endings, read_picture

from .made import read

COLOUR = (200, 40, 120)
PLAIN = Image.new("RGB", (32, 24), COLOUR)
PAGE = Path(__file__).parents[2] / "docs" / "pictures-and-masks.md"


def photoshop() -> bytes:
    """The flattened picture alone, without layers and without compression."""
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, PLAIN.height, PLAIN.width, 8, 3)
    return head + bytes(12) + bytes(2) + b"".join(bytes([level]) * (32 * 24) for level in COLOUR)


def quite_ok() -> bytes:
    """Every pixel written out (QOI's 0xfe)."""
    return b"qoif" + struct.pack(">IIBB", 32, 24, 3, 0) + (b"\xfe" + bytes(COLOUR)) * (32 * 24) + bytes(7) + b"\1"


def saved(ending: str) -> bytes:
    """A picture of one colour in the format that the ending names."""
    if ending in (".psd", ".qoi"):
        return photoshop() if ending == ".psd" else quite_ok()
    if ending in (".heic", ".heif", ".hif"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    Image.init()
    stream = io.BytesIO()
    kind = {".hif": "HEIF"}.get(ending) or Image.registered_extensions()[ending]
    (PLAIN.convert({".pbm": "1", ".pgm": "L"}.get(ending, "RGB"))).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("ending", sorted(endings.ALWAYS))
def test_what_every_ending_names_is_read(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    path.write_bytes(saved(ending))
    pixels, _ = read(path)
    assert pixels.shape == (24, 32, 3)
    if ending not in (".pbm", ".pgm"):
        assert np.abs(pixels.astype(int) - COLOUR).mean() < 8


def test_jpeg_xl_is_read_where_its_plugin_is_as_its_own_stream_is_turned(tmp_path):
    pytest.importorskip("pillow_jxl")
    assert ".jxl" in picture_endings()
    exif = Image.Exif()
    exif[0x0112] = 6
    PLAIN.save(tmp_path / "a.jxl", exif=exif.tobytes())
    assert read_picture(tmp_path / "a.jxl", metadata=False).shape == (24, 32, 3)
    PLAIN.save(tmp_path / "b.jpg", exif=exif)
    with pytest.warns(UserWarning, match="lossless"):
        Image.open(tmp_path / "b.jpg").save(tmp_path / "b.jxl")
    assert read_picture(tmp_path / "b.jxl", metadata=False).shape == (32, 24, 3)


def test_jpeg_xl_without_its_plugin_is_no_ending_and_names_the_plugin(tmp_path, monkeypatch):
    monkeypatch.setattr(endings, "find_spec", lambda name: None)
    assert ".jxl" not in picture_endings()
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind != "JXL"])
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    with pytest.raises(PictureError, match="JPEG XL: pip install pillow-jxl-plugin"):
        read_picture(tmp_path / "a.jxl")


def test_the_page_lists_the_endings():
    (line,) = re.findall(r"^Of a folder.*?are pictures: (.*?);", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert set(re.findall(r"`(\.\w+)`", line)) == endings.ALWAYS
