"""Sheets show the pictures that they name."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sedic.bench.restoration import sheets
from sedic.errors import SedicError


def test_training_sheet_shows_first_and_last_sample(tmp_path):
    folder = tmp_path / "samples"
    folder.mkdir()
    for step in (0, 500, 1000, 20000):
        sheet = np.zeros((128, 192, 3), np.uint8)  # two rows of reference, restored, original
        sheet[:, 64:128] = step // 100
        sheet[:, 128:] = 255
        Image.fromarray(sheet).save(folder / f"{step:06d}.png")
    made = []
    pasted = Image.Image.paste

    def watch(self, image, *more):
        made.append(image.resize((1, 1)).getpixel((0, 0))[0])
        return pasted(self, image, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image.Image, "paste", watch)
        sheets.training_sheet(tmp_path, tmp_path / "out" / "sheet.jpg", count=3, rows=2)
    assert made == [0, 0, 10, 200, 255] * 2
    with Image.open(tmp_path / "out" / "sheet.jpg") as sheet:
        assert sheet.width > 5 * 192


def test_a_run_without_samples_is_told(tmp_path):
    with pytest.raises(SedicError, match="no samples"):
        sheets.training_sheet(tmp_path, tmp_path / "sheet.jpg")
