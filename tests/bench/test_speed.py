"""Speed is measured on the command itself, beside an earlier version, and its failures are told."""

from __future__ import annotations

import numpy as np
import pytest

from sedic.bench import speed
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


def test_an_earlier_version_writes_the_files_that_both_read(tmp_path, monkeypatch, capsys):
    (tmp_path / "sedic").mkdir()
    (tmp_path / "sedic" / "codec.py").touch()
    asked = []

    def seconds(root, arguments):
        asked.append((root == tmp_path, *arguments[:2]))
        return 4.0 if root == tmp_path else 1.0

    monkeypatch.setattr(speed, "_seconds", seconds)
    speed.measure(beside=tmp_path, turns=2, large=64, only=["sedic info", "words written"])
    assert [(earlier, what) for earlier, what, _ in asked[:2]] == [(True, "encode")] * 2
    turn = [(earlier, what) for what in ("command", "words") for earlier in (True, False)]
    assert [(earlier, what) for earlier, what, _ in asked[2:]] == turn * 2
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows[1:] == ["| sedic info | 4.00 | 1.00 | 0.25 |", "| words written | 4.00 | 1.00 | 0.25 |"]


def test_a_folder_that_is_no_checkout_is_told(tmp_path):
    with pytest.raises(SedicError, match="is no checkout"):
        speed.measure(beside=tmp_path)
