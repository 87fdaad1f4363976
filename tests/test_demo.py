"""The example: what it holds, and how it comes into a folder that others use, too."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.bitstream import SedicFile
from sedic.demo import (
    FILE,
    FILE_NAME,
    FOLDER_NAME,
    PARTS,
    PHOTOGRAPH,
    PICTURE_NAME,
    PREFIX,
    SEMANTICS,
    mask_names,
    painted,
    place,
    place_folder,
)
from sedic.semantics import Semantics


def test_the_file_holds_the_photographs_words_and_masks() -> None:
    file, described = SedicFile.read(FILE), Semantics.read(SEMANTICS)
    with Image.open(PHOTOGRAPH) as photograph:
        assert (file.width, file.height) == photograph.size
    assert not file.missing
    assert file.semantics.overall == described.overall
    assert [(o.name, o.detail) for o in file.semantics.objects] == [(o.name, o.detail) for o in described.objects]


def test_the_example_is_put_where_it_is_missing_and_never_over_a_file(tmp_path: Path) -> None:
    names = {PICTURE_NAME, FILE_NAME, *mask_names()}
    assert all(name.startswith(PREFIX) for name in names)
    (tmp_path / FILE_NAME).write_bytes(b"somebody's own")
    assert {path.name for path in place(tmp_path)} == names - {FILE_NAME}
    assert (tmp_path / FILE_NAME).read_bytes() == b"somebody's own"
    assert {path.name for path in tmp_path.iterdir()} == names
    assert place(tmp_path) == []


def test_a_painted_mask_is_transparent_inside_and_keeps_the_picture_below() -> None:
    described = Semantics.read(SEMANTICS)
    for scene_object, name in zip(described.objects, ("coffee_cup", "coffee_saucer", "coffee_spoon"), strict=True):
        with Image.open(io.BytesIO(painted(SEMANTICS.with_name(f"{name}.png")))) as image:
            pixels = np.asarray(image.convert("RGBA"))
        assert np.array_equal(pixels[..., 3] < 128, scene_object.mask)
        with Image.open(PHOTOGRAPH) as photograph:
            original = np.asarray(photograph.convert("RGB")).astype(float)
        inside = scene_object.mask
        assert np.abs(pixels[inside][:, :3] - original[inside]).mean() < 12


def test_a_folder_that_takes_no_files_is_told(tmp_path: Path) -> None:
    for placed in (place, place_folder):
        with pytest.raises(OSError, match="gone"):
            placed(tmp_path / "gone")


def test_the_folder_holds_parts_of_several_sizes_and_keeps_what_is_there(tmp_path: Path) -> None:
    assert FOLDER_NAME.startswith(PREFIX)
    assert {path.stem for path in place_folder(tmp_path)} == {*PARTS}
    sizes = set()
    for path in (tmp_path / FOLDER_NAME).iterdir():
        with Image.open(path) as image:
            sizes.add(image.size)
    assert len(sizes) == len(PARTS)
    path.write_bytes(b"somebody's own")
    assert place_folder(tmp_path) == []
    assert path.read_bytes() == b"somebody's own"
