"""The decoder's measurements run on any models and say what they measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.bench.decoder import measure
from sedic.bench.energy import energy_table, scenes
from sedic.codec import default_settings
from sedic.errors import SedicError
from tests.restoration.toy import ToyModels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture with one object."""
    y, x = np.mgrid[0:256, 0:384] / 2
    Image.fromarray(np.stack([x, y, x], -1).astype(np.uint8)).save(tmp_path / "a.png")
    mask = np.zeros((256, 384), np.uint8)
    mask[80:190, 60:230] = 255
    Image.fromarray(mask).save(tmp_path / "cup.png")
    words = {"objects": [{"name": "cup", "detail": "red cup", "mask": "cup.png"}], "overall": "a table"}
    (tmp_path / "a.json").write_text(json.dumps(words))
    return tmp_path


def test_scenes_are_shrunk_with_their_masks(folder):
    (scene,) = scenes(folder, 5, 128)
    assert scene.reference.shape == (1, 3, 128, 192)
    assert scene.semantics.objects[0].mask.shape == (128, 192)
    assert scene.semantics.objects[0].mask.mean() == pytest.approx(110 * 170 / (256 * 384), abs=0.02)


def test_energy_is_lower_where_guidance_ends_when_attention_follows_the_latent(folder, monkeypatch):
    # The toy's attention follows slowly; the embedded models' own number of steps is no matter here.
    settings = replace(default_settings(), object_steps=6)
    monkeypatch.setattr("sedic.bench.energy.default_settings", lambda: settings)
    *_, line = energy_table(ToyModels(), folder, 1, 128, ["guided to the end"])
    objects, without, used, ratio = (float(cell) for cell in line.removeprefix("guided to the end").split()[:4])
    assert objects == 1
    assert used < 0.97 * without
    assert ratio == pytest.approx(used / without, abs=0.01)


def test_a_folder_or_variant_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(SedicError, match=r"no NAME\.png with a NAME\.json"):
        list(scenes(tmp_path, 1, 64))
    with pytest.raises(SedicError, match="no variant 'more'; choose from defaults"):
        measure(tmp_path, 1, 64, ["more"], False)
