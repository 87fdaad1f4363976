"""Whatever picture a person has becomes a file whose reference decodes at the picture's own size."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.cli import main
from sedic.picture import read_picture

from .support import failure

WIDTH, HEIGHT = 96, 72


def colours(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Red grows to the right, green downwards."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [255 * columns / width, 255 * rows / height, 128 + 0 * rows]
    return Image.fromarray(np.stack(planes, 2).astype(np.uint8))


def grey(path: Path) -> None:
    colours().convert("L").save(path / "a.png")


def alpha(path: Path) -> None:
    image = colours().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path / "a.png")


def palette_with_transparency(path: Path) -> None:
    image = colours().quantize(16)
    image.save(path / "a.png", transparency=3)


def deep_png(path: Path) -> None:
    Image.fromarray(np.asarray(colours())[..., 0].astype(np.uint16) * 257).save(path / "a.png")


def deep_tiff(path: Path) -> None:
    Image.fromarray(np.asarray(colours())[..., 1].astype(np.uint16) * 257).save(path / "a.tif")


def cmyk(path: Path) -> None:
    colours().convert("CMYK").save(path / "a.jpg", quality=95)


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    colours().save(path / "a.jpg", exif=exif, quality=95)


def odd(path: Path) -> None:
    colours(101, 67).save(path / "a.png")


KINDS = (grey, alpha, palette_with_transparency, deep_png, deep_tiff, cmyk, turned, odd)


@pytest.mark.parametrize("save", KINDS, ids=lambda save: save.__name__)
def test_every_kind_of_picture_becomes_a_file_that_decodes(save, tmp_path, capsys, no_models):
    save(tmp_path)
    (source,) = tmp_path.iterdir()
    file, out = tmp_path / "a.sedic", tmp_path / "out.png"
    assert main(["encode", str(source), "-o", str(file), "--reference", "av1:200"]) == 0
    notes = capsys.readouterr().err
    assert ("transparent" in notes) == (save in (alpha, palette_with_transparency))
    assert main(["decode", str(file), "-o", str(out), "--until", "reference"]) == 0
    with pytest.warns(UserWarning, match="transparent") if "transparent" in notes else contextlib.nullcontext():
        expected = read_picture(source)
    decoded = read_picture(out)
    assert decoded.shape == expected.shape == ((WIDTH, HEIGHT, 3) if save is turned else expected.shape)
    assert np.abs(decoded.astype(float) - expected).mean() < 12


def test_fewer_than_sixteen_pixels_a_side_are_refused_in_one_sentence(tmp_path, capsys):
    colours(15, 15).save(tmp_path / "15.png")
    said = failure(capsys, "encode", tmp_path / "15.png", "-o", tmp_path / "a.sedic")
    assert "15×15" in said
    assert "16" in said
    assert not (tmp_path / "a.sedic").exists()
