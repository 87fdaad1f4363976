"""The measurement of the embedded eyes: overlaps with objects made by hand, and what a person judged of the names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic.bench import eyes
from sedic.metrics.sheet import MOST_BYTES
from sedic.semantics import SceneObject, Semantics
from sedic.understanding.embedded.look import Seen


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """One picture with two objects: the left half, and the right upper quarter."""
    Image.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / "one.png")
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save(tmp_path / "left.png")
    Image.fromarray(np.ascontiguousarray(np.triu(np.ones((64, 64), np.uint8)) * (255 - mask))).save(
        tmp_path / "right.png"
    )
    rows = [{"name": name, "detail": "", "mask": f"{name}.png"} for name in ("left", "right")]
    (tmp_path / "one.json").write_text(json.dumps({"overall": "", "objects": rows}), encoding="utf-8")
    return tmp_path


def test_found_objects_and_judged_names_are_counted_and_others_called_not_judged(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((64, 64), bool)
    mask[:40, :32] = True  # 0.63 of the left half
    objects = (SceneObject("cat", "", mask), SceneObject("dog", "", mask))
    monkeypatch.setattr(eyes, "look", lambda image: Seen(Semantics("a photograph", objects), ["Found: both."], []))
    (tmp_path / "judged.json").write_text(json.dumps({"one": {"cat": "wrong"}}), encoding="utf-8")
    monkeypatch.setattr(eyes, "JUDGED", tmp_path / "judged.json")
    eyes.measure(pictures, tmp_path / "sheet.jpg")
    said = capsys.readouterr().out
    assert "2 objects made by hand: 1 found (IoU of at least 0.5), 1 roughly (at least 0.25)" in said
    assert "2 names, 1 plainly wrong, 1 not judged" in said
    assert 0 < (tmp_path / "sheet.jpg").stat().st_size < MOST_BYTES


def test_every_judgement_is_one_of_two() -> None:
    judged = json.loads(eyes.JUDGED.read_text(encoding="utf-8"))
    assert {verdict for names in judged.values() for verdict in names.values()} <= {"right", "wrong"}
