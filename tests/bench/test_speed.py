"""Speed is measured on the command itself, and its failures are told."""

from __future__ import annotations

import numpy as np
import pytest

from sedic.bench.restoration.speed import decode_seconds
from sedic.codec import encode
from sedic.errors import SedicError
from sedic.semantics import Semantics


def test_a_decode_is_timed_and_leaves_its_picture(tmp_path):
    encode(np.full((128, 192, 3), 90, np.uint8), Semantics("a wall"), "av1:60").write(tmp_path / "a.sedic")
    picture = tmp_path / "a.png"
    seconds, busy, memory = decode_seconds(tmp_path / "a.sedic", picture, 1, ["--overall-steps", "1"])
    assert seconds > 0
    assert busy > 0
    assert memory > 50e6  # bytes, not kilobytes
    assert picture.is_file()


def test_a_failed_decode_is_told_with_its_own_words(tmp_path):
    with pytest.raises(SedicError, match=r"nothing\.sedic"):
        decode_seconds(tmp_path / "nothing.sedic", tmp_path / "a.png", 1, [])
