"""What a run takes and what each picture becomes; what cannot be is a sentence before the work."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from turning import folder

from sedic.batch.plan import FILES, PlanError, make_plan, several
from sedic.picture import picture_endings


def planned(*inputs: Path, output: Path = Path("elsewhere"), **options):
    return make_plan(inputs, options.pop("endings", picture_endings()), output, ".sedic", **options)


def named(plan) -> dict[str, str]:
    return {item.output: item.source.name for item in plan.items}


def test_a_folder_is_all_pictures_below_it_under_the_same_names(tmp_path):
    folder(
        tmp_path, {"a.png": b"", "in/b.c.JPG": b"", "in/.hidden.png": b"", ".git/d.png": b"", "e.txt": b"", "f": b""}
    )
    plan = planned(tmp_path)
    assert named(plan) == {"a.sedic": "a.png", "in/b.c.sedic": "b.c.JPG"}
    assert plan.notes == ["Left out, as their endings are none that is read here: 1 without ending, 1 .txt."]


def test_files_are_taken_as_they_are_named_and_patterns_from_where_they_begin(tmp_path):
    folder(tmp_path, {"a.raw": b"", "x/b.png": b"", "x/y/c.png": b""})
    assert named(planned(tmp_path / "a.raw", tmp_path / "no.png")) == {"a.sedic": "a.raw", "no.sedic": "no.png"}
    assert named(planned(tmp_path / "**" / "*.png")) == {"x/b.sedic": "b.png", "x/y/c.sedic": "c.png"}
    assert named(planned(tmp_path / "x" / "[bc].png", tmp_path / "x" / "b.png")) == {"b.sedic": "b.png"}


def test_one_file_is_not_several_even_where_its_name_is_like_a_pattern(tmp_path):
    folder(tmp_path, {"a[1].png": b"", "b.png": b""})
    assert not several([tmp_path / "a[1].png"])
    assert not several([tmp_path / "missing.png"])
    assert several([tmp_path / "*.png"])
    assert several([tmp_path])
    assert several([tmp_path / "b.png"] * 2)


@pytest.mark.parametrize(
    ("files", "name", "said"),
    [
        ({}, "", "holds no pictures, and no files at all"),
        ({"a.txt": b""}, "", "holds no pictures, but other files (1 .txt)"),
        ({"a.png": b""}, "b*.png", "No file fits the pattern"),
    ],
)
def test_nothing_to_do_is_a_sentence(tmp_path, files, name, said):
    (tmp_path / "in").mkdir()
    folder(tmp_path / "in", files)
    with pytest.raises(PlanError) as error:
        planned(tmp_path / "in" / name)
    assert said in str(error.value)


@pytest.mark.parametrize("other", ["a.jpg", "A.PNG", "a.PnG"])
def test_pictures_of_one_name_are_left_alone_and_told_and_the_others_are_done(tmp_path, other):
    folder(tmp_path, {"a.png": b"", other: b"", "b.png": b""})
    if len(list(tmp_path.iterdir())) == 2:
        pytest.skip("this file system does not tell the two apart")
    plan = planned(tmp_path)
    assert named(plan) == {"b.sedic": "b.png"}
    assert {item.source.name for item, _ in plan.refused} == {"a.png", other}
    assert all(str(tmp_path / other) in said and str(tmp_path / "a.png") in said for _, said in plan.refused)


def test_an_output_within_an_input_is_refused_and_one_that_is_an_input_is_not_written(tmp_path):
    folder(tmp_path, {"a.png": b"", "b.sedic": b""})
    for inside in (tmp_path, tmp_path / "out", tmp_path / "x" / ".." / "out"):
        with pytest.raises(PlanError, match="lies within"):
            planned(tmp_path, output=inside)
    plan = planned(tmp_path / "a.png", tmp_path / "b.sedic", output=tmp_path)
    assert named(plan) == {"a.sedic": "a.png"}
    assert "is an input and would be lost" in plan.refused[0][1]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_in_circles_end_and_are_told(tmp_path):
    folder(tmp_path / "in", {"a.png": b"", "deep/b.png": b""})
    folder(tmp_path / "other", {"c.png": b""})
    (tmp_path / "in" / "deep" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "there").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in" / "deep")
    (tmp_path / "in" / "self.png").symlink_to(tmp_path / "in" / "self.png")
    plan = planned(tmp_path / "in")
    assert set(named(plan)) == {"a.sedic", "deep/b.sedic", "there/c.sedic", "self.sedic"}
    assert any("in a circle" in note for note in plan.notes)
    assert any("once more" in note for note in plan.notes)


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_that_cannot_be_read_counts_as_failed(tmp_path):
    folder(tmp_path, {"a.png": b"", "closed/b.png": b""})
    (tmp_path / "closed").chmod(0)
    try:
        assert "cannot be read" in planned(tmp_path).refused[0][1]
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_masks_that_semantics_name_are_no_pictures(tmp_path):
    words = json.dumps({"objects": [{"name": "cup", "mask": "a_cup.png"}], "overall": ""}).encode()
    folder(tmp_path, {"a.png": b"", "a_cup.png": b"", "a.json": words, "b/c.png": b""})
    plan = planned(tmp_path, semantics=tmp_path)
    assert named(plan) == {"a.sedic": "a.png", "b/c.sedic": "c.png"}
    assert [item.semantics for item in plan.items] == [tmp_path / "a.json", tmp_path / "b" / "c.json"]
    assert "1 pictures are masks" in plan.notes[0]


def test_files_of_another_kind_are_none_to_decode(tmp_path):
    folder(tmp_path, {"a.png": b"", "b.sedic": b""})
    assert named(planned(tmp_path, endings=FILES)) == {"b.sedic": "b.sedic"}
