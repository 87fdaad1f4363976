"""The table of words: the same lines under every coder, in whole bytes."""

from __future__ import annotations

import json

import pytest

from sedic.bench import texts
from sedic.bitstream.text import CODERS
from sedic.errors import SedicError


@pytest.fixture
def data(tmp_path):
    """Held-out and training descriptions, and a picture's words."""
    folder = tmp_path / "text"
    folder.mkdir()
    training = [f"A {colour} barn stands beside pond {i}." for i in range(40) for colour in ("red", "grey", "white")]
    for name, lines in {
        "lmm_train": training,
        "captions_train": training,
        "lmm_heldout": ["A red barn beside a pond.", "Old grey door.", "word " * 51 + "."],
    }.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / f"{name}.src").write_text(
            "\n".join(["iiw-objects\tx", "other\ty", "z\tz"][i % 3] for i in range(len(lines)))
        )
    scene = {"overall": "A red barn beside a pond.", "objects": [{"name": "red barn", "detail": "Weathered boards."}]}
    (tmp_path / "a.json").write_text(json.dumps(scene), encoding="utf-8")
    return tmp_path


def test_table_has_a_row_for_each_source_and_leaves_long_lines_out(data, capsys):
    texts.measure(data, data)
    header, *rows = capsys.readouterr().out.splitlines()
    names = header.split()[4:]
    assert set(CODERS.names.values()) | {"deflate", "brotli", "ppmd", "zstd+dict"} == set(names)
    assert [row.split()[0] for row in rows[:3]] == ["iiw-objects", "other", "all"]
    assert [row.split()[1] for row in rows[:3]] == ["1", "1", "2"]
    pooled = dict(zip(names, map(float, rows[2].split()[2:]), strict=True))
    parts = [dict(zip(names, map(float, row.split()[2:]), strict=True)) for row in rows[:2]]
    for name in names:
        assert pooled[name] == pytest.approx((parts[0][name] * 25 + parts[1][name] * 14) / 39, abs=2e-3)
        assert parts[0][name] * 25 / 8 == pytest.approx(round(parts[0][name] * 25 / 8), abs=2e-3)  # whole bytes
    assert pooled["network"] < pooled["deflate"]
    assert "bytes of words a picture" in rows[4]
    assert float(rows[5].split()[2]) == int(float(rows[5].split()[2]))  # one picture: whole bytes


def test_missing_descriptions_are_told(tmp_path):
    with pytest.raises(SedicError, match="lmm_heldout.*name the folder"):
        texts.measure(tmp_path, None)
