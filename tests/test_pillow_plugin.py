"""Ordinary tools look at a .sedic file through Pillow."""

from __future__ import annotations

import doctest
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import sedic
from sedic import codec
from sedic.semantics import SceneObject, Semantics

ROWS, COLUMNS = np.mgrid[:72, :64]
PICTURE = np.stack([COLUMNS * 3, ROWS * 3, 128 + 0 * ROWS], 2).astype(np.uint8)


@pytest.fixture(scope="module")
def file() -> sedic.SedicFile:
    mask = np.zeros((72, 64), bool)
    mask[16:48, 16:48] = True
    return codec.encode(PICTURE, Semantics("A wall.", (SceneObject("spot", "A round spot.", mask),)), "av1:120")


def test_opening_gives_the_reference_with_the_words(file, tmp_path):
    file.write(tmp_path / "a.sedic")
    with Image.open(tmp_path / "a.sedic") as image:
        assert (image.format, image.mode, image.size) == ("SEDIC", "RGB", (64, 72))
        assert image.info["semantics"] == {
            "objects": [{"name": "spot", "detail": "A round spot."}],
            "overall": "A wall.",
        }
        assert "missing" not in image.info
        np.testing.assert_array_equal(np.asarray(image), codec.reference_of(file).picture())
        (written,) = sedic.open(tmp_path / "a.sedic").semantics.objects
        assert written.mask.any()
        np.testing.assert_array_equal(image.sedic.semantics.objects[0].mask, written.mask)
        thumbnail = image.copy()
    thumbnail.thumbnail((32, 32))
    assert thumbnail.size == (28, 32)
    assert sedic.open(tmp_path / "a.sedic").semantics.overall == "A wall."


def test_nothing_is_decoded_before_pixels_are_asked_for(file, monkeypatch):
    monkeypatch.setattr(codec, "reference_of", lambda file: pytest.fail("decoded"))
    image = Image.open(io.BytesIO(file.to_bytes()))
    assert image.size == (64, 72)


def test_a_cut_file_opens_with_what_arrived_or_says_in_load_that_there_is_no_picture(file):
    data = file.to_bytes()
    image = Image.open(io.BytesIO(data[:-1]))
    assert "object1" in image.info["missing"]
    image.load()
    image = Image.open(io.BytesIO(data[:20]))
    with pytest.raises(OSError, match="reference is missing"):
        image.load()


@pytest.mark.parametrize("data", [b"SDC", b"SDC\x02abcdefgh", b"SDC\x01" + bytes(40), b"SDX\x01" + bytes(40)])
def test_foreign_bytes_are_left_to_other_formats(data):
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))


def test_damaged_pixels_are_an_os_error():
    file = sedic.SedicFile(64, 64, 1, 9, b"\x07\0" + bytes(40), Semantics("a"))
    with pytest.raises(OSError, match="fetch the file again"):
        Image.open(io.BytesIO(file.to_bytes())).load()


def test_importing_the_library_registers_and_stays_light():
    code = """
import sys, sedic
from PIL import Image
assert ".sedic" in Image.registered_extensions()
heavy = {"torch", "diffusers", "transformers", "openai", "cv2", "torchmetrics", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr


def test_the_examples_in_the_librarys_docstrings_run():
    result = doctest.testmod(sedic)
    assert result.attempted > 3
    assert result.failed == 0
