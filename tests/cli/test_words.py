"""Words without JSON, options that had no use, and values that are out of range."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sedic.bitstream import SedicFile
from sedic.cli import main
from sedic.semantics import Semantics

from .support import failure


def notes(capsys, *arguments) -> list[str]:
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 0
    return [line.removeprefix("Note: ") for line in capsys.readouterr().err.splitlines()]


@pytest.fixture
def encode(scene, tmp_path) -> list:
    return ["encode", scene / "a.png", "-o", tmp_path / "o.sedic", "--reference", "av1:80"]


def words(encode) -> Semantics:
    return SedicFile.read(encode[3]).semantics


def test_words_are_typed_as_in_the_node(encode, tmp_path, capsys):
    told = notes(capsys, *encode, "--words", "red barn: weathered boards", "--words", "overall: a barn: red")
    assert [(o.name, o.detail) for o in words(encode).objects] == [("red barn", "weathered boards")]
    assert words(encode).overall == "a barn: red"
    assert len(told) == 1
    assert "'red barn' has no mask" in told[0]
    text = "red barn: weathered boards\r\n\r\noverall: a barn: red\r\n"
    (tmp_path / "w.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    first = encode[3].read_bytes()
    notes(capsys, *encode, "--words-file", tmp_path / "w.txt")
    assert encode[3].read_bytes() == first
    notes(capsys, *encode, "--words", '{"objects": [], "overall": "a pond"}')
    assert words(encode).overall == "a pond"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("a\nb".encode("utf-16"), "UTF-8"),
        (b"one\ntwo", "overall texts"),
        (b": nameless", "no name"),
        (b"", "No words"),
    ],
)
def test_words_that_cannot_be_used_are_told(content, told, encode, tmp_path, capsys):
    if content is not None:
        (tmp_path / "w.txt").write_bytes(content)
    assert told in failure(capsys, *encode, "--words-file", tmp_path / "w.txt")


@pytest.mark.parametrize(("name", "option"), [("s.json", "--semantics"), ("a.png", "--words-file")])
def test_a_files_name_is_not_taken_for_words(name, option, encode, scene, capsys):
    told = failure(capsys, *encode, "--words", scene / name)
    assert f"{name} is a file; name it by {option}." in told
    assert not encode[3].exists()


def test_a_file_without_words_is_told(encode, scene, capsys):
    (told,) = notes(capsys, *encode)
    assert "no words" in told
    assert "--words" in told
    assert any("no words" in n for n in notes(capsys, *encode, "--words", "a", "--overall-words", "0"))
    assert not notes(capsys, *encode, "--semantics", scene / "s.json")


@pytest.mark.parametrize(
    "option",
    ["--segmenter=x", "--ask-again", "--box-threshold=0.5", "--text-threshold=0.5", "--several=best", "--device=cpu",
     "--detector=x"],
)  # fmt: skip
def test_options_without_use_are_told(option, encode, scene, capsys):
    name = option.partition("=")[0]
    (told,) = notes(capsys, *encode, "--semantics", scene / "s.json", option)
    assert told.startswith(f"{name} had no use")


@pytest.mark.parametrize("option", ["--mask-cell=16", "--smooth-masks"])
def test_masks_options_without_masks_are_told(option, encode, capsys):
    told = notes(capsys, *encode, "--words", "a", option)
    assert told == [f"{option.partition('=')[0]} had no use: no object has a mask."]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--target-bpp=0.5", "names one"),  # the reference of these commands has a quality
        ("--target-bpp=nan", "must be above 0"),
        ("--target-bpp=-1", "must be above 0"),
        ("--mask-cell=0", "1 or more"),
        ("--name-words=-1", "0 or more"),
        ("--box-threshold=1.5", "between 0 and 1"),
        ("--text-threshold=nan", "between 0 and 1"),
    ],
)
def test_values_out_of_range_and_contradictions_are_told_before_anybody_is_asked(option, told, encode, capsys):
    assert told in failure(capsys, *encode, "--endpoint", "nobody", option)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--seed=-1", "seed is -1"),
        (f"--seed={1 << 64}", "seed is"),
        ("--object-cfg=nan", "guidance is nan"),
        ("--overall-cfg=inf", "guidance is inf"),
        ("--threshold=nan", "threshold"),
        ("--soft-edge=-1", "negative"),
        ("--strength=2", "out of range"),
    ],
)
def test_decodes_values_out_of_range_are_told(option, told, scene, tmp_path, capsys, no_models):
    assert told in failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / "o.png", option)


def test_the_readme_shows_semantics_json_that_is_read():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", readme, re.DOTALL)
    read = Semantics.from_json(example)
    assert read.overall
    assert read.objects[0].detail
    assert json.loads(example)["objects"][0]["mask"]
