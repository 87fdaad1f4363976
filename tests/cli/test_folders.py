"""Folders on the command line: as many single commands would do it, told in one line, with a status that tells."""

from __future__ import annotations

import json
import shutil
import sys
import warnings

import pytest

from sedic.cli import folders, main
from sedic.cli.encode import add
from sedic.errors import SedicError
from sedic.restoration.settings import Settings

from .support import failure


@pytest.fixture(scope="module")
def encoded(scene, tmp_path_factory):
    """A folder of three pictures, one bad, with words and masks beside one; and what came of it."""
    root = tmp_path_factory.mktemp("folders")
    source = root / "in"
    (source / "deep").mkdir(parents=True)
    for name in ("cup.png", "spoon.png"):
        shutil.copy(scene / name, source)
    shutil.copy(scene / "a.png", source)
    shutil.copy(scene / "s.json", source / "a.json")
    shutil.copy(scene / "a.png", source / "deep" / "b.png")
    (source / "deep" / "b.json").write_text('{"overall": "A ramp."}', encoding="utf-8")
    (source / "bad.png").write_bytes(b"no picture")
    with warnings.catch_warnings(record=True):
        status = main(["encode", str(source), "-o", str(root / "out"), "--semantics", str(source), "--reference",
                       "av1:80", "--jobs", "1"])  # fmt: skip
    return source, root / "out", status


def test_a_folder_becomes_what_single_commands_make_of_it(encoded, scene):
    source, out, status = encoded
    assert status == 1
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.sedic")) == ["a.sedic", "deep/b.sedic"]
    assert (out / "a.sedic").read_bytes() == (scene / "a.sedic").read_bytes()
    lines = (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    row = next(row for row in map(json.loads, lines) if row.get("output") == "a.sedic")
    assert row["bytes"] == (scene / "a.sedic").stat().st_size
    assert row["bpp"] == pytest.approx(row["bytes"] * 8 / row["width"] / row["height"])
    assert row["source"] == str(source / "a.png")


def test_a_folder_is_decoded_and_told_as_json(encoded, tmp_path, capsys):
    _, out, _ = encoded
    command = ["decode", str(out), str(out / "a.sedic"), "-o", str(tmp_path / "pictures"), "--until", "reference"]
    assert main([*command, "--jobs", "1", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["done"], facts["skipped"], facts["failed"], facts["jobs"], facts["errors"]) == (2, 0, 0, 1, [])
    assert facts["bytes"] == sum(path.stat().st_size for path in out.rglob("*.sedic"))
    assert (tmp_path / "pictures" / "deep" / "b.png").is_file()
    assert main(["decode", str(out / "a.sedic"), "-o", str(tmp_path / "a.png"), "--until", "reference"]) == 0
    assert (tmp_path / "pictures" / "a.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    capsys.readouterr()
    assert main(command) == 0  # no worker begins where all is done
    assert capsys.readouterr().out.startswith("0 decoded, 2 done before in ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["encode", "-", "a.png", "-o", "out"], "Standard input (-) holds one picture"),
        (["encode", "a.png", "b.png", "-o", "-"], "cannot go to standard output"),
        (["encode", "a.png", "b.png", "-o", "a.png"], "a.png is no folder"),
        (["encode", "a.png", "b.png", "-o", "out", "--jobs", "0"], "--jobs is 0"),
        (["encode", "a.png", "b.png", "-o", "out", "--semantics", "s.json"], "--semantics s.json is no folder"),
        (["encode", "a.png", "b.png", "-o", "out", "--device", "cpu,nonsense"], "There is no device 'nonsense'"),
        (["encode", "empty", "-o", "out"], "empty holds no pictures, and no files at all"),
        (["encode", "x*.png", "-o", "out"], "No file fits the pattern x*.png"),
        (["encode", ".", "-o", "empty"], "The output empty lies within ."),
        (["decode", "a.png", "b.png", "-o", "out", "--stages", "s"], "--stages keeps the stages of one picture"),
        (["decode", "a.png", "b.png", "-o", "out", "--eta", "-1"], "eta"),
        (
            ["encode", "s3://b/c", "-o", "out"],
            "s3://b/c is not on this machine; name a file here, or folders there with",
        ),
        (["encode", "a.png", "-o", "s3://b/c"], "s3://b/c is not on this machine"),
        (["info", "s3://b/c"], "s3://b/c is not on this machine"),
        (["encode", "a.png", "b.png", "-o", "out", "--engine", "ray", "--device", "cuda:0,cuda:1"], "write cuda, or"),
    ],
)
def test_what_cannot_be_is_told_before_the_work_and_nothing_is_made(
    scene, tmp_path, monkeypatch, capsys, arguments, said
):
    for name in ("a.png", "s.json"):
        shutil.copy(scene / name, tmp_path)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert said in failure(capsys, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "empty", "s.json"]


def test_switches_reach_a_worker_as_they_were_given():
    import argparse
    import pickle

    from sedic.cli import decode

    parser = argparse.ArgumentParser()
    decode.add(parser.add_subparsers())
    options = parser.parse_args(["decode", "a", "b", "-o", "c", "--eta", "7", "--order", "2,1", "--no-fusion"])
    how = pickle.loads(pickle.dumps(folders.decoding(options).work))
    changed = how.switch(how.switches, Settings())
    assert (changed.guidance.eta, changed.order, changed.fuse) == (7.0, "2,1", False)
    assert set(how.switches).isdisjoint(folders.NO_SETTINGS)
    again = parser.parse_args(["decode", "a", "b", "-o", "c", "--eta", "7", "--order", "2,1", "--no-fusion", "--json"])
    again.typed = ["the same in other words"]
    assert folders.decoding(again).work.settings() == how.settings()


def test_a_lora_reaches_a_worker_and_counts_as_a_setting(tmp_path):
    import argparse

    from sedic.cli import decode

    parser = argparse.ArgumentParser()
    decode.add(parser.add_subparsers())
    file = tmp_path / "style.safetensors"
    file.write_bytes(b"one")

    def decoding(*more):
        return folders.decoding(parser.parse_args(["decode", "a", "b", "-o", "c", "--models", "m", *more])).work

    plain, styled, weaker = (decoding(*more) for more in ((), ("--lora", str(file)), ("--lora", f"{file}:0.5")))
    assert weaker.lora == [(file, 0.5)]
    assert len({str(work.settings()) for work in (plain, styled, weaker)}) == 3
    with pytest.raises(SedicError, match="absent"):
        decoding("--lora", str(tmp_path / "absent.safetensors"))


def test_every_option_of_encode_counts_as_a_setting_or_is_known_not_to():
    """An option that changes the files and is forgotten would leave a folder with files of two kinds."""
    import argparse
    from dataclasses import fields

    from sedic.batch.encoding import Encoding
    from sedic.cli.encode import LIMITS

    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    options = set(vars(parser.parse_args(["encode", "a", "-o", "b"])))
    beside = {"image", "output", "force", "json", "run", "writes_data", "jobs", "engine", "device", "semantics"}
    read = {"words", "words_file", "preset", "mask_cell", "smooth_masks", *LIMITS}
    assert options == beside | read | (options & {field.name for field in fields(Encoding)})
    assert {"typed", "limits", "masks"} <= set(Encoding().settings())


def test_without_ray_its_engine_names_what_to_install(scene, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    said = failure(capsys, "encode", scene / "a.png", scene / "a.png", "-o", tmp_path / "out", "--engine", "ray")
    assert said == "--engine ray needs ray; install it: pip install 'sedic[ray]'."
    assert not (tmp_path / "out").exists()
