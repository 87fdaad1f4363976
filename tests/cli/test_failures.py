"""Failures are one line with status 1, and what was there before stays; wrong usage is status 2."""

from __future__ import annotations

import re
import socket

import numpy as np
import pytest
from PIL import Image

from sedic.bitstream import SedicFile
from sedic.cli import main
from sedic.semantics import Semantics

from .support import EARLIER, HEIGHT, WIDTH, failure

# Failures: one line, status 1, and what was there before stays


@pytest.mark.parametrize("content", [None, b"", b"no picture", bytes(1000)])
def test_bad_picture(content, tmp_path, earlier, capsys):
    if content is not None:
        (tmp_path / "bad.png").write_bytes(content)
    assert "bad.png" in failure(capsys, "encode", tmp_path / "bad.png", "-o", earlier)
    assert earlier.read_bytes() == EARLIER


@pytest.mark.parametrize("command", ["decode", "info", "unpack"])
@pytest.mark.parametrize("content", [None, b"", b"SD", b"SDC\1", b"SDC\2abc", np.random.default_rng(0).bytes(900)])
def test_bytes_that_are_no_file(command, content, tmp_path, earlier_picture, capsys, no_models):
    if content is not None:
        (tmp_path / "bad.sedic").write_bytes(content)
    output = [] if command == "info" else ["-o", earlier_picture]
    failure(capsys, command, tmp_path / "bad.sedic", *output)
    assert earlier_picture.read_bytes() == b"earlier"


@pytest.mark.parametrize(
    ("semantics", "told"),
    [
        (None, "s.json"),
        ("{", "JSON"),
        ('{"objects": [{"name": "a", "mask": "absent.png"}]}', "absent.png"),
        ('{"objects": [{"name": "a", "mask": "small.png"}]}', "8×9, the picture 64×72"),
        ('{"objects": [{"name": "a", "mask": "s.json"}]}', "s.json"),
        ('{"overall": "half a letter \\ud800"}', "remove it"),
    ],
)
def test_bad_semantics(semantics, told, scene, tmp_path, earlier, capsys):
    Image.new("L", (8, 9)).save(tmp_path / "small.png")
    if semantics is not None:
        (tmp_path / "s.json").write_text(semantics)
    line = failure(capsys, "encode", scene / "a.png", "--semantics", tmp_path / "s.json", "-o", earlier,
                   "--reference", "av1:80")  # fmt: skip
    assert told in line
    assert earlier.read_bytes() == EARLIER


def test_endpoint_that_is_not_there(scene, tmp_path, earlier, capsys, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    command = ["encode", scene / "a.png", "--endpoint", "dead", "-o", earlier]
    assert "endpoints.toml" in failure(capsys, *command)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    (tmp_path / ".config" / "sedic").mkdir(parents=True)
    profile = f'[dead]\nbase_url = "http://127.0.0.1:{port}/v1"\nmodel = "m"\n'
    (tmp_path / ".config" / "sedic" / "endpoints.toml").write_text(profile)
    assert f"127.0.0.1:{port}" in failure(capsys, *command)
    assert earlier.read_bytes() == EARLIER


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--reference", "nope"], "'nope'"),
        (["--reference", "av1:much"], "'much'"),
        (["--reference", "av1:999"], "999"),
        (["--reference", "av1:1"], "av1:1 is too little"),
        (["--reference", "av1:80", "--semantics", "absent.json"], "absent.json"),
    ],
)
def test_impossible_options(options, told, scene, earlier, capsys):
    assert told in failure(capsys, "encode", scene / "a.png", "-o", earlier, *options)
    assert earlier.read_bytes() == EARLIER


def test_impossible_budget_says_what_would_do(scene, earlier, capsys):
    told = failure(capsys, "encode", scene / "a.png", "-o", earlier, "--target-bpp", "0.001")
    assert "0.001 bpp is too little" in told
    assert "--target-bpp" in told
    assert earlier.read_bytes() == EARLIER
    works = re.search(r"is ([0-9.]+) bpp", told)[1]
    command = ["encode", scene / "a.png", "--semantics", scene / "s.json", "-o", earlier, "--target-bpp", works]
    assert main([str(a) for a in command]) == 0
    assert earlier.stat().st_size * 8 / (WIDTH * HEIGHT) <= float(works)
    assert "leave out 'cup', 'spoon', words of the whole behind 0" in capsys.readouterr().err


def test_codec_of_a_newer_program(tmp_path, earlier_picture, capsys, no_models):
    SedicFile(64, 64, 31, 9, b"123456", Semantics("a")).write(tmp_path / "new.sedic")
    assert "31" in failure(capsys, "decode", tmp_path / "new.sedic", "-o", earlier_picture)
    assert earlier_picture.read_bytes() == b"earlier"


def test_damaged_reference(tmp_path, earlier_picture, capsys, no_models):
    SedicFile(64, 64, 1, 9, b"\x07\0" + bytes(40), Semantics("a")).write(tmp_path / "bad.sedic")  # no such factor
    failure(capsys, "decode", tmp_path / "bad.sedic", "-o", earlier_picture)
    assert earlier_picture.read_bytes() == b"earlier"


@pytest.mark.parametrize("name", ["absent/out", "file/out", "folder", "."])
def test_unwritable_output(name, scene, tmp_path, capsys, monkeypatch, no_models):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.sedic").mkdir()
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    ending = (lambda kind: "") if name == "." else lambda kind: kind
    failure(capsys, "encode", scene / "a.png", "-o", name + ending(".sedic"), "--reference", "av1:80")
    failure(capsys, "decode", scene / "a.sedic", "-o", name + ending(".png"), "--until", "reference")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "kept"


def test_unwritable_folders(scene, tmp_path, capsys, no_models):
    (tmp_path / "file").write_text("kept")
    failure(capsys, "unpack", scene / "a.sedic", "-o", tmp_path / "file")
    failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--stages", tmp_path / "file")
    (tmp_path / "parts" / "semantics.json").mkdir(parents=True)
    failure(capsys, "unpack", scene / "a.sedic", "-o", tmp_path / "parts")


def test_picture_format_that_cannot_be_written(scene, tmp_path, capsys, no_models):
    for name in ("o.nonsense", "o", "o.psd"):
        assert ".png" in failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / name, "--until", "reference")


@pytest.mark.parametrize("option", ["--object-steps", "--overall-steps"])
def test_no_steps_at_all(option, scene, earlier_picture, capsys, no_models):
    assert option in failure(capsys, "decode", scene / "a.sedic", "-o", earlier_picture, option, "0")
    assert earlier_picture.read_bytes() == b"earlier"


def test_models_that_are_not_there(scene, tmp_path, capsys):
    told = failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--models", tmp_path / "absent")
    assert "absent" in told


def test_a_lora_that_is_not_there_is_told_before_anything_is_written(scene, tmp_path, capsys, no_models):
    arguments = ["decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--stages", tmp_path / "stages"]
    assert "There is no LoRA absent.safetensors" in failure(capsys, *arguments, "--lora", "absent.safetensors:0.5")
    assert not any(tmp_path.iterdir())


def test_a_folder_of_a_diffusion_transformer_is_sent_to_comfyui(scene, tmp_path, capsys):
    (tmp_path / "flux" / "transformer").mkdir(parents=True)
    told = failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--models", tmp_path / "flux")
    assert "diffusion transformer" in told
    assert "in ComfyUI" in told


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_device_that_is_not_there(device, scene, tmp_path, capsys):
    told = failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--device", device)
    assert device in told or "--device" in told


def test_broken_guidance_is_left_out_and_said_so(scene, tmp_path, capsys, preloaded, monkeypatch):
    from sedic.restoration import stages
    from sedic.restoration.guidance import GuidanceError

    def fail(*_, **__):
        raise GuidanceError("The guidance gradient is not finite; lower eta or turn guidance off for this model.")

    monkeypatch.setattr(stages, "guide", fail)
    plain = ["decode", str(scene / "a.sedic"), "--until", "object", "--object-steps", "1"]
    assert main([*plain, "-o", str(tmp_path / "free.png"), "--no-guidance"]) == 0
    capsys.readouterr()
    assert main([*plain, "-o", str(tmp_path / "o.png")]) == 0
    notes = capsys.readouterr().err.splitlines()
    assert notes
    assert all(note.startswith("Note: ") and "without guidance" in note for note in notes)
    assert (tmp_path / "o.png").read_bytes() == (tmp_path / "free.png").read_bytes()


@pytest.mark.parametrize("seed", [(1 << 64) - 1, 1 << 70])
def test_any_seed_draws_or_is_refused_in_one_line(seed, scene, tmp_path, capsys, preloaded):
    capsys.readouterr()
    arguments = ["decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--until", "object", "--object-steps", 1]
    status = main([*map(str, arguments), "--no-guidance", "--seed", str(seed)])
    assert status == 0 or len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--objects", "--detail-words", "--overall-words"])
def test_negative_limits_are_refused(option, scene, earlier, capsys):
    try:
        status = main(["encode", str(scene / "a.png"), "--semantics", str(scene / "s.json"), "-o", str(earlier),
                       "--reference", "av1:80", option, "-1"])  # fmt: skip
    except SystemExit as error:
        status = error.code
    assert status in (1, 2)
    assert earlier.read_bytes() == EARLIER


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["encode", "a.png"],
        ["encode", "a.png", "-o", "b.sedic", "--objects", "many"],
        ["encode", "a.png", "-o", "b.sedic", "--semantics", "s.json", "--endpoint", "p"],
        ["decode", "a.sedic", "-o", "b.png", "--until", "noon"],
        ["compare", "a.png"],
        ["info", "a.sedic", "--yaml"],
    ],
)
def test_wrong_usage_is_status_2_with_a_hint(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: sedic" in capsys.readouterr().err


def test_version_and_help_are_not_failures(capsys):
    import sedic

    for option, shown in (("--version", sedic.__version__), ("--help", "encode")):
        with pytest.raises(SystemExit) as caught:
            main([option])
        assert caught.value.code == 0
        assert shown in capsys.readouterr().out
