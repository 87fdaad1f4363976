"""Python's ways in: the README's lines, pictures and words in any form, and Pillow's save."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sedic
from sedic.handed import words_of
from sedic.picture import read_picture

ROWS, COLUMNS = np.mgrid[:72, :64]
PICTURE = np.stack([COLUMNS * 3, ROWS * 3, 128 + 0 * ROWS], 2).astype(np.uint8)
MASK = (ROWS > 20) & (COLUMNS > 30)
TEXT = "cup: white\noverall: a cup"
DICT = {"objects": [{"name": "cup", "detail": "white"}], "overall": "a cup"}


def test_the_readmes_lines_run(tmp_path, monkeypatch, capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(lines.splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PICTURE).save("photo.jpg")
    (tmp_path / "readme.py").write_text(lines, encoding="utf-8")
    runpy.run_path("readme.py")
    with Image.open("final.png") as image:
        assert image.size == (64, 72)
    assert "bytes" in capsys.readouterr().out


def test_a_picture_is_the_same_in_every_form(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    floats = PICTURE.astype(np.float32) / 255
    for form in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(PICTURE), PICTURE, floats,
                 torch.from_numpy(floats)[None]):  # fmt: skip
        np.testing.assert_array_equal(read_picture(form), PICTURE)
    assert read_picture(PICTURE[..., 0]).shape == PICTURE.shape


@pytest.mark.parametrize("form", [None, 5, PICTURE.astype(np.complex64), PICTURE * 1.0, {}])
def test_what_is_no_picture_is_told(form):
    with pytest.raises(sedic.SedicError, match=r"^The picture .*(give|scale) "):
        read_picture(form)


def test_words_are_the_same_in_every_form(tmp_path):
    (tmp_path / "w.txt").write_text(TEXT)
    wanted = sedic.Semantics("a cup", (sedic.SceneObject("cup", "white"),))
    for form in (TEXT, DICT, '{"objects": [{"name": "cup", "detail": "white"}], "overall": "a cup"}', wanted,
                 tmp_path / "w.txt"):  # fmt: skip
        assert words_of(form, (64, 72)) == wanted
    for form in (None, "", sedic.Semantics()):
        assert words_of(form, (64, 72)) == sedic.Semantics()


def test_a_dicts_masks_may_be_paths_pictures_arrays_and_tensors(tmp_path):
    Image.fromarray(MASK).save(tmp_path / "m.png")
    floats = torch.from_numpy(MASK).float()
    for mask in (tmp_path / "m.png", str(tmp_path / "m.png"), Image.fromarray(MASK), MASK, MASK * np.uint8(255), floats,
                 floats[None]):  # fmt: skip
        (read,) = words_of({"objects": [{"name": "cup", "mask": mask}]}, (64, 72)).objects
        np.testing.assert_array_equal(read.mask, MASK)
    with pytest.raises(sedic.SedicError, match="'cup'"):
        words_of({"objects": [{"name": "cup", "mask": MASK.T}]}, (64, 72))


@pytest.mark.parametrize("words", [5, ["cup"], {"objects": 3}, {"objects": [3]}, {"overall": {1}}, Path("absent.txt")])
def test_words_that_cannot_be_used_are_told(words):
    with pytest.raises(sedic.SedicError):
        words_of(words, (64, 72))


def test_a_files_name_is_not_taken_for_words(tmp_path):
    (tmp_path / "w.json").write_text("{}")
    with pytest.raises(sedic.SedicError, match="Path"):
        words_of(str(tmp_path / "w.json"), (64, 72))


def test_until_is_one_that_there_is():
    with pytest.raises(sedic.SedicError, match=r"Image\.open"):
        sedic.decode("absent.sedic", until="reference")


def test_a_quality_beside_a_budget_that_chooses_it_is_told():
    with pytest.raises(sedic.SedicError, match="compact:5 names"):
        sedic.encode(PICTURE, TEXT, "compact:5", target_bpp=0.5)


def test_pillow_saves_with_words_and_tells_what_it_does_not_know(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.sedic", words={**DICT, "objects": [{"name": "cup", "mask": MASK}]},
                                  reference="av1:200")  # fmt: skip
    file = sedic.open(tmp_path / "a.sedic")
    assert file.semantics.overall == "a cup"
    assert file.semantics.objects[0].mask.any()
    with Image.open(tmp_path / "a.sedic") as image, pytest.warns(UserWarning, match="masks are not"):
        image.save(tmp_path / "b.sedic", reference="av1:200")
    assert sedic.open(tmp_path / "b.sedic").semantics.overall == "a cup"
    for options, told in (({"quality": 5}, "quality"), ({"words": 5}, "words are"), ({"reference": "x"}, "'x'")):
        with pytest.raises(OSError, match=told):
            Image.fromarray(PICTURE).save(tmp_path / "c.sedic", **options)
        assert not (tmp_path / "c.sedic").exists()
