"""Pictures, files and decoded pictures find one another, or the person is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.errors import SedicError
from sedic.evaluation.originals import by_name, check_sizes, originals, partners, pictures
from sedic.evaluation.protocols import PROTOCOLS
from sedic.semantics import SceneObject, Semantics

FOLDER = PROTOCOLS["folder"]


def draw(path: Path, size: tuple[int, int] = (40, 30)) -> Path:
    Image.new("RGB", size, "teal").save(path)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a.png", "b.jpg", "a_mask.png"):
        draw(tmp_path / name)
    Image.new("L", (40, 30), 255).save(tmp_path / "a_mask.png")
    objects = [{"name": "sea", "detail": "teal", "mask": "a_mask.png"}]
    (tmp_path / "a.json").write_text(json.dumps({"objects": objects, "overall": "The sea."}))
    (tmp_path / "notes.json").write_text("[]")
    return tmp_path


def test_masks_that_words_name_are_no_originals(folder):
    scenes = originals(folder, FOLDER, words=True)
    assert [scene.name for scene in scenes] == ["a", "b"]
    assert [scene.objects for scene in scenes] == [1, 0]
    assert scenes[0].opened().semantics.objects[0].mask.all()
    assert [scene.name for scene in originals(folder, FOLDER, words=True, count=1)] == ["a"]


def test_an_original_changes_with_its_file(folder):
    scene = originals(folder, FOLDER, words=True)[0]
    before = scene.identity()
    assert scene.identity() == before
    draw(folder / "a.png", (50, 30))
    assert scene.identity() != before


def test_names_without_a_partner_are_told(folder, tmp_path):
    scenes = originals(folder, FOLDER, words=True)
    files = [folder / "a.sedic"]
    with pytest.raises(SedicError, match=r"1 of 2 originals have no partner in .* \(b\)"):
        partners(scenes, files, folder, whole=True)
    files += [folder / "b.sedic", folder / "c.sedic"]
    with pytest.raises(SedicError, match=r"1 of 3 files in .* have no original \(c\)"):
        partners(scenes, files, folder, whole=True)
    assert partners(scenes, files, folder, whole=False) == files[:2]


def test_folders_without_pictures_and_names_that_collide_are_told(tmp_path):
    with pytest.raises(SedicError, match="holds no pictures"):
        originals(tmp_path, FOLDER, words=True)
    with pytest.raises(SedicError, match=r"cannot be read .*; name a folder"):
        pictures(tmp_path / "nowhere")
    with pytest.raises(SedicError, match="have one name"):
        by_name([draw(tmp_path / "a.png"), draw(tmp_path / "a.jpg")])


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("target", ["a.png", "nowhere.png"])
def test_an_original_that_cannot_be_read_is_told_and_not_left_out(tmp_path, target):
    (tmp_path / "a.png").symlink_to(tmp_path / target)
    (scene,) = originals(tmp_path, FOLDER, words=True)
    with pytest.raises(SedicError, match=r"a\.png"):
        scene.opened()


def test_pictures_of_another_size_are_told_before_the_work(folder, tmp_path):
    scenes = originals(folder, FOLDER, words=False, count=1)
    with pytest.raises(SedicError, match=r"41×30 and a.png 40×30 under protocol folder; compare pictures of one size"):
        check_sizes(scenes, [draw(folder / "other.png", (41, 30))])


def test_a_protocol_resizes_the_shorter_side_and_takes_the_middle_of_picture_and_masks():
    protocol = PROTOCOLS["clic768"]
    pixels = np.zeros((800, 1600, 3), np.uint8)
    pixels[:, 800:] = 255
    mask = pixels[..., 0] > 0
    prepared = protocol.prepared(pixels, "x")
    assert prepared.shape == (768, 768, 3)
    assert prepared[:, :380].max() < 10
    assert prepared[:, 388:].min() > 245
    away = np.zeros_like(mask)
    away[:, :10] = True
    words = Semantics("", (SceneObject("right", "", mask), SceneObject("cut off", "", away)))
    right, gone = protocol.prepared_words(words, (1600, 800), "x").objects
    assert np.array_equal(right.mask, prepared[..., 0] > 127)
    assert gone.mask is None
    same = np.zeros((768, 768, 3), np.uint8)
    assert protocol.prepared(same, "x") is same
    with pytest.raises(SedicError, match="small.png is 767×900 and protocol clic768 needs a shorter side of 768"):
        protocol.prepared(np.zeros((900, 767, 3), np.uint8), "small.png")
