"""Files of version 1 stay readable for ever and are written the same, by every coder that there is."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sedic.bitstream import SedicFile, mask, text

from . import golden

PATHS = sorted(golden.FOLDER.glob("*.sedic"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_golden_file_is_read_as_ever_and_written_the_same(path):
    data = path.read_bytes()
    file = SedicFile.from_bytes(data)
    assert golden.content(file) == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert dataclasses.replace(file).to_bytes() == data


def test_every_coder_has_a_golden_file():
    files = [SedicFile.read(path) for path in PATHS]
    assert {file.text_coder for file in files} == set(text.CODERS.names)
    assert {file.mask_coder for file in files} == set(mask.CODERS.names)


def test_runs_tell_masks_apart():
    picture = np.zeros((2, 3), bool)
    assert golden.runs(picture) == [6]
    picture[0, 0] = picture[1, 1:] = True
    assert golden.runs(picture) == [0, 1, 3, 2]
    assert golden.runs(~picture) == [1, 3, 2]
