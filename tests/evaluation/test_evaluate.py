"""A folder of pictures becomes a report, and nothing is restored twice."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic import output
from sedic.codec import encode
from sedic.errors import SedicError
from sedic.evaluation import kept
from sedic.evaluation.evaluate import Request, evaluate
from sedic.evaluation.kept import Plan
from sedic.evaluation.originals import originals
from sedic.evaluation.protocols import PROTOCOLS
from sedic.restoration.settings import Settings
from tests.restoration.toy import ToyModels

PLAN = Plan(Settings(object_steps=2, overall_steps=2), metrics=("psnr",))
COUNT = 2


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two pictures with words and three masks each."""
    folder = tmp_path / "originals"
    folder.mkdir()
    y, x = np.mgrid[:64, :96]
    for n in range(COUNT):
        Image.fromarray(np.stack([x * 2, y * 3, x + y + 20 * n], 2).astype(np.uint8)).save(folder / f"p{n}.png")
        for j in range(3):
            mask = np.zeros((64, 96), np.uint8)
            mask[16:48, 32 * j : 32 * j + 32] = 255
            Image.fromarray(mask).save(folder / f"p{n}_{j}.png")
        objects = [{"name": f"o{j}", "detail": f"a thing {j}", "mask": f"p{n}_{j}.png"} for j in range(3)]
        (folder / f"p{n}.json").write_text(json.dumps({"objects": objects, "overall": "Three things."}))
    return folder


@pytest.fixture
def models(monkeypatch) -> ToyModels:
    toy = ToyModels()
    monkeypatch.setattr(kept, "load_models", lambda *_: toy)
    return toy


def test_pictures_are_encoded_decoded_and_reported(folder, tmp_path, models):
    request = Request(folder, tmp_path / "r", plan=PLAN, command="sedic evaluate …")
    result = evaluate(request)
    assert result.pictures == COUNT
    assert set(result.figures) == {"reference", "final"}
    assert result.figures["final"]["bpp"] > result.figures["reference"]["bpp"] > 0
    text = result.text.read_text(encoding="utf-8")
    for told in ("PSNR, dB ↑", "| masks |", "| object1 |", "| p1 |", "sedic evaluate …", "| encode |"):
        assert told in text
    page = result.page.read_text(encoding="utf-8")
    assert "data:image/jpeg" in page
    assert str(tmp_path) not in page


def test_what_is_kept_is_not_restored_again_and_new_figures_are_taken_of_it(folder, tmp_path, models, monkeypatch):
    pytest.importorskip("ssimulacra2")
    request = Request(folder, tmp_path / "r", plan=PLAN)
    first = evaluate(request)
    monkeypatch.setattr(kept, "load_models", lambda *_: pytest.fail("models were loaded"))
    models.conditions.clear()
    more = evaluate(replace(request, plan=replace(PLAN, metrics=("psnr", "ssimulacra2"))))
    assert not models.conditions
    assert more.figures["final"]["psnr"] == first.figures["final"]["psnr"]
    assert set(more.figures["final"]) >= {"psnr", "ssimulacra2"}


def test_files_keep_their_words_and_decoded_pictures_are_taken_as_they_are(folder, tmp_path, models):
    files, decoded = tmp_path / "files", tmp_path / "decoded"
    for made in (files, decoded):
        made.mkdir()
    for n in range(COUNT):
        encode(folder / f"p{n}.png", "A thing.").write(files / f"p{n}.sedic")
        Image.open(folder / f"p{n}.png").save(decoded / f"p{n}.webp", lossless=True)
    result = evaluate(Request(folder, tmp_path / "r", files, plan=PLAN))
    assert {text for text, *_ in models.conditions} == {"A thing."}
    models.conditions.clear()
    both = evaluate(Request(folder, tmp_path / "both", files, decoded, plan=PLAN))
    assert not models.conditions
    assert both.figures["final"] == {"psnr": np.inf, "bpp": result.figures["final"]["bpp"]}
    assert "equal" in both.text.read_text(encoding="utf-8")
    alone = evaluate(Request(folder, tmp_path / "alone", None, decoded, plan=PLAN))
    assert set(alone.figures) == {"final"}
    assert "bpp" not in alone.figures["final"]


def test_an_ablation_has_the_papers_rows_and_its_own_table(folder, tmp_path, models):
    text = evaluate(Request(folder, tmp_path / "r", ablation="table5", plan=PLAN)).text.read_text(encoding="utf-8")
    assert "What the file holds (Table V)" in text
    assert text.count("| no reference: a grey picture |") == 3  # ours, the differences, the paper's
    assert "| all of it | 0.1518 | 0.1012 | 0.0457 |" in text


def test_the_ablation_of_steps_has_those_that_were_asked_for(folder, tmp_path, models):
    request = Request(folder, tmp_path / "r", ablation="steps", steps=["1,1", "2,2", "3,1"], plan=PLAN)
    result = evaluate(request)
    assert set(result.figures) == {"reference", "final", "steps 1,1", "steps 3,1"}
    assert "| 3 an object, 1 for the whole |" in result.text.read_text(encoding="utf-8")
    with pytest.raises(SedicError, match="'fast' names no steps"):
        evaluate(replace(request, steps=["fast"]))


def test_an_ablation_of_pictures_without_objects_and_a_report_without_a_place_are_told(folder, tmp_path, models):
    for path in folder.glob("*.json"):
        path.write_text(json.dumps({"objects": [], "overall": "Nothing."}))
    for path in folder.glob("*_?.png"):
        path.unlink()
    with pytest.raises(SedicError, match="3 objects or more"):
        evaluate(Request(folder, tmp_path / "r", ablation="table5", plan=PLAN))
    with pytest.raises(SedicError, match="is a folder; name the report"):
        evaluate(Request(folder, tmp_path, plan=PLAN))
    with pytest.raises(SedicError, match="there is no folder"):
        evaluate(Request(folder, tmp_path / "nowhere" / "r", plan=PLAN))


def test_a_variants_seconds_are_its_own_whatever_was_made_before_it(folder, tmp_path, models):
    """Those before the default one decode whole files; row 1 is made of the stages that the others share."""
    scene = originals(folder, PROTOCOLS["folder"], words=True, count=1)[0]
    names = ("unguided", "row 1", kept.FINAL)
    (task,) = kept.tasks([scene], tmp_path, names)
    assert len(list(kept.run([task], 1, None, PLAN, PLAN.tools()))) == 2
    unguided, row, final = (kept.seconds(kept.read(task, name)) for name in names)
    assert set(unguided) == {"decode"}
    assert row == {}
    assert "decode" not in final
    assert {"encode", "reference", "object1", "final"} < set(final)


@pytest.mark.parametrize("ending", [".md", ".html"])
def test_a_file_that_is_no_report_is_not_overwritten_by_one(ending, folder, tmp_path, models):
    mine = tmp_path / f"README{ending}"
    mine.write_text("# My pictures\n")
    with pytest.raises(SedicError, match="is no report of sedic's; name another"):
        evaluate(Request(folder, tmp_path / "README", plan=PLAN))
    assert mine.read_text() == "# My pictures\n"


def test_a_full_disk_is_a_sentence_and_what_is_kept_stays(folder, tmp_path, models, monkeypatch):
    request, write = Request(folder, tmp_path / "r", plan=PLAN), output._write

    def full(path, data):
        if Path(path).parent.name == "p1" and Path(path).name == "final.npz":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(output, "_write", full)
        with pytest.raises(SedicError, match="final.npz cannot be written .*free some space"):
            evaluate(request)
    kept_of = tmp_path / "r_pictures"
    assert (kept_of / "p0" / "final.npz").is_file()
    assert not (kept_of / "p1" / "final.npz").exists()
    assert evaluate(request).pictures == COUNT


def test_a_file_that_cannot_be_decoded_is_named_and_damaged_results_are_made_again(folder, tmp_path, models):
    files = tmp_path / "files"
    files.mkdir()
    for n in range(COUNT):
        encode(folder / f"p{n}.png", "A thing.").write(files / f"p{n}.sedic")
    request = Request(folder, tmp_path / "r", files, plan=PLAN)
    first = evaluate(request)
    (tmp_path / "r_pictures" / "p0" / "final.npz").write_bytes(b"half")
    assert evaluate(request).figures == first.figures
    whole = (files / "p1.sedic").read_bytes()
    (files / "p1.sedic").write_bytes(whole[:20])
    with pytest.raises(SedicError, match="p1: .*reference is missing"):
        evaluate(request)
