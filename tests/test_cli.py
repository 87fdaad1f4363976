"""The command line keeps its contract: what it prints, its exit status, and one line for each failure."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic import codec
from sedic.bitstream import SedicFile
from sedic.cli import main
from sedic.semantics import Semantics

WIDTH, HEIGHT = 64, 72


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """A picture, its words and two masks, and the file made of them."""
    folder = tmp_path_factory.mktemp("scene")
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    Image.fromarray(np.stack([columns * 3, rows * 3, 128 + 0 * rows], 2).astype(np.uint8)).save(folder / "a.png")
    for name, left in (("cup", 0), ("spoon", 32)):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[16:48, left : left + 24] = 255
        Image.fromarray(mask).save(folder / f"{name}.png")
    objects = [{"name": n, "detail": f"a white {n} — 谷", "mask": f"{n}.png"} for n in ("cup", "spoon")]
    words = json.dumps({"objects": objects, "overall": "A cup and a spoon."}, ensure_ascii=False)
    (folder / "s.json").write_text(words, encoding="utf-8")
    assert main(["encode", str(folder / "a.png"), "--semantics", str(folder / "s.json"), "-o",
                 str(folder / "a.sedic"), "--reference", "av1:80"]) == 0  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def embedded():
    """The embedded models, loaded once."""
    return codec.load_models()


@pytest.fixture
def preloaded(embedded, monkeypatch):
    monkeypatch.setattr(codec, "load_models", lambda *_: embedded)


@pytest.fixture
def no_models(monkeypatch):
    """Fails a test that loads any."""
    monkeypatch.setattr(codec, "load_models", lambda *_: pytest.fail("models were loaded"))


def failure(capsys, *arguments) -> str:
    """The one line that a failing command leaves on standard error."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 1
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if not line.startswith("Note: ")]
    assert len(lines) == 1, output.err
    assert output.out == ""
    return lines[0]


def cut(scene: Path, section: str) -> bytes:
    """The scene's file up to within ``section``."""
    data, end = (scene / "a.sedic").read_bytes(), 0
    for part in SedicFile.from_bytes(data).sections:
        if part.name == section:
            return data[: end + part.bytes // 2]
        end += part.bytes
    raise AssertionError(section)


# encode, info, unpack, compare


def test_encode_tells_bytes_and_bits_that_are_the_files(scene, tmp_path, capsys):
    out = tmp_path / "b.sedic"
    assert main(["encode", str(scene / "a.png"), "-o", str(out), "--reference", "av1:80"]) == 0
    size = out.stat().st_size
    assert capsys.readouterr().out.strip() == f"{out}: {size} bytes, {size * 8 / (WIDTH * HEIGHT):.4f} bpp"


def test_info_json_accounts_for_every_byte(scene, capsys):
    assert main(["info", str(scene / "a.sedic"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    size = (scene / "a.sedic").stat().st_size
    assert (facts["width"], facts["height"], facts["bytes"]) == (WIDTH, HEIGHT, size)
    assert facts["bpp"] == pytest.approx(size * 8 / (WIDTH * HEIGHT))
    assert [section["name"] for section in facts["sections"]] == [
        "header",
        "reference",
        "overall",
        "object1",
        "object2",
    ]
    assert sum(section["bytes"] for section in facts["sections"]) == size
    for section in facts["sections"][3:]:
        assert section["text_bytes"] > 0
        assert section["mask_bytes"] > 0
        assert section["text_bytes"] + section["mask_bytes"] == section["bytes"] - 2  # length and check value
    assert facts["reference"] == {"codec": "av1", "quality": 80}
    assert facts["semantics"]["overall"] == "A cup and a spoon."
    assert facts["semantics"]["objects"][0] == {"name": "cup", "detail": "a white cup — 谷"}
    assert "format" in facts
    assert "missing" not in facts


def test_info_prints_each_part_for_people(scene, capsys):
    assert main(["info", str(scene / "a.sedic")]) == 0
    text = capsys.readouterr().out
    for part in (f"{WIDTH}×{HEIGHT}", "header", "reference av1:80", "overall", "object1", "object2", "cup", "谷"):
        assert part in text


def test_unpacked_files_make_the_same_file_again(scene, tmp_path, capsys):
    assert main(["unpack", str(scene / "a.sedic"), "-o", str(tmp_path / "parts")]) == 0
    names = {path.name for path in (tmp_path / "parts").iterdir()}
    assert names == {"reference.png", "semantics.json", "object1.png", "object2.png"}
    file = SedicFile.read(scene / "a.sedic")
    again = Semantics.read(tmp_path / "parts" / "semantics.json", (WIDTH, HEIGHT))
    assert again.overall == file.semantics.overall
    for a, b in zip(again.objects, file.semantics.objects, strict=True):
        assert (a.name, a.detail) == (b.name, b.detail)
        np.testing.assert_array_equal(a.mask, b.mask)
    with Image.open(tmp_path / "parts" / "reference.png") as image:
        np.testing.assert_array_equal(np.asarray(image), codec.reference_of(file).picture())


def test_compare_of_a_picture_with_itself_is_valid_json(scene, capsys):
    assert main(["compare", str(scene / "a.png"), str(scene / "a.png"), "--json"]) == 0
    out = capsys.readouterr().out
    figures = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(figures) >= {"psnr", "ms_ssim"}


def test_compare_prints_decibels(scene, tmp_path, capsys):
    pixels = np.asarray(Image.open(scene / "a.png"))
    Image.fromarray(pixels // 2 * 2 ^ 1).save(tmp_path / "b.png")
    assert main(["compare", str(scene / "a.png"), str(tmp_path / "b.png")]) == 0
    assert "dB" in capsys.readouterr().out


def test_compare_of_two_sizes_names_both(scene, tmp_path, capsys):
    Image.new("RGB", (8, 9)).save(tmp_path / "b.png")
    told = failure(capsys, "compare", scene / "a.png", tmp_path / "b.png")
    assert "64×72" in told
    assert "8×9" in told


def test_texts_are_cut_with_a_note(scene, tmp_path, capsys):
    arguments = ["encode", scene / "a.png", "--semantics", scene / "s.json", "-o", tmp_path / "b.sedic"]
    arguments += ["--reference", "av1:80", "--objects", 1, "--detail-words", 2, "--overall-words", 3]
    assert main([str(a) for a in arguments]) == 0
    semantics = SedicFile.read(tmp_path / "b.sedic").semantics
    assert [(o.name, o.detail) for o in semantics.objects] == [("cup", "a white")]
    assert semantics.overall == "A cup and"
    err = capsys.readouterr().err
    assert all(line.startswith("Note: ") for line in err.splitlines())
    assert "left out spoon" in err
    assert "2 cut" in err


def test_objects_without_a_mask_are_noted(scene, tmp_path, capsys):
    (tmp_path / "s.json").write_text('{"objects": [{"name": "cup"}], "overall": "b"}')
    arguments = ["encode", scene / "a.png", "--semantics", tmp_path / "s.json", "-o", tmp_path / "b.sedic"]
    assert main([*map(str, arguments), "--reference", "av1:80"]) == 0
    assert "'cup' has no mask" in capsys.readouterr().err


def test_info_works_where_the_terminal_knows_few_letters(scene, monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", narrow)
    assert main(["info", str(scene / "a.sedic")]) == 0
    assert main(["info", str(scene / "a.sedic"), "--json"]) == 0


def test_module_runs_as_a_program(scene):
    command = [sys.executable, "-m", "sedic", "info", str(scene / "a.sedic"), "--json"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("utf-8"))["width"] == WIDTH
    command[-2] = str(scene / "absent.sedic")
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


# decode


def test_decode_until_reference_needs_no_models(scene, tmp_path, no_models):
    arguments = ["decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--until", "reference"]
    assert main([*map(str, arguments), "--stages", str(tmp_path / "stages")]) == 0
    expected = codec.reference_of(SedicFile.read(scene / "a.sedic")).picture()
    for path in (tmp_path / "o.png", tmp_path / "stages" / "reference.png"):
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), expected)


def decoded(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.size == (WIDTH, HEIGHT)
        return np.array(image)


def test_decode_writes_every_stage_and_the_last_as_the_picture(scene, tmp_path, preloaded, capsys):
    arguments = ["decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--stages", tmp_path]
    assert main([*map(str, arguments), "--object-steps", "1", "--overall-steps", "1"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "o.png", "reference.png", "object1.png", "object2.png", "final.png"
    }  # fmt: skip
    np.testing.assert_array_equal(decoded(tmp_path / "o.png"), decoded(tmp_path / "final.png"))
    stages = [decoded(tmp_path / f"{name}.png") for name in ("reference", "object1", "object2", "final")]
    assert not any(np.array_equal(a, b) for a, b in zip(stages, stages[1:], strict=False))
    assert "not writable" not in capsys.readouterr().err


def test_until_object_ends_with_the_last_object_and_the_seed_decides(scene, tmp_path, preloaded):
    one_step = ["--until", "object", "--object-steps", "1", "--no-guidance", "--no-fusion"]
    pictures = []
    for seed in ("5", "5", "6"):
        arguments = ["decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--stages", tmp_path, "--seed", seed]
        assert main([*map(str, arguments), *one_step]) == 0
        assert not (tmp_path / "final.png").exists()
        pictures.append(decoded(tmp_path / "o.png"))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[2], decoded(tmp_path / "object2.png"))
    assert not np.array_equal(pictures[1], pictures[2])


def test_cut_file_decodes_what_arrived_with_a_note(scene, tmp_path, preloaded, capsys):
    (tmp_path / "cut.sedic").write_bytes(cut(scene, "object2"))
    arguments = ["decode", tmp_path / "cut.sedic", "-o", tmp_path / "o.png", "--stages", tmp_path / "stages"]
    steps = ["--object-steps", "1", "--overall-steps", "1", "--no-guidance"]
    assert main([*map(str, arguments), *steps]) == 0
    assert {path.name for path in (tmp_path / "stages").iterdir()} == {"reference.png", "object1.png", "final.png"}
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Note: ")]
    assert len(notes) == 1
    assert "'object2'" in notes[0]


def test_file_cut_behind_its_reference_is_still_a_picture(scene, tmp_path, preloaded, capsys):
    (tmp_path / "cut.sedic").write_bytes(cut(scene, "overall"))
    arguments = ["decode", tmp_path / "cut.sedic", "-o", tmp_path / "o.png", "--overall-steps", 1]
    assert main([str(a) for a in arguments]) == 0
    assert "'overall'" in capsys.readouterr().err
    assert decoded(tmp_path / "o.png").any()


def test_file_cut_before_its_reference_has_no_picture_but_tells(scene, tmp_path, capsys, no_models):
    (tmp_path / "cut.sedic").write_bytes(cut(scene, "reference"))
    assert "reference is missing" in failure(capsys, "decode", tmp_path / "cut.sedic", "-o", tmp_path / "o.png")
    assert not (tmp_path / "o.png").exists()
    assert main(["info", str(tmp_path / "cut.sedic")]) == 0
    assert "'reference'" in capsys.readouterr().out


def test_cut_file_unpacks_what_arrived_with_a_note(scene, tmp_path, capsys):
    (tmp_path / "cut.sedic").write_bytes(cut(scene, "object1"))
    assert main(["unpack", str(tmp_path / "cut.sedic"), "-o", str(tmp_path / "parts")]) == 0
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {"reference.png", "semantics.json"}
    assert "Note: " in capsys.readouterr().err


# Failures: one line, status 1, and what was there before stays


@pytest.fixture
def earlier(tmp_path) -> Path:
    """An output of an earlier run."""
    path = tmp_path / "earlier.out"
    path.write_bytes(b"earlier")
    return path


@pytest.mark.parametrize("content", [None, b"", b"no picture", bytes(1000)])
def test_bad_picture(content, tmp_path, earlier, capsys):
    if content is not None:
        (tmp_path / "bad.png").write_bytes(content)
    assert "bad.png" in failure(capsys, "encode", tmp_path / "bad.png", "-o", earlier)
    assert earlier.read_bytes() == b"earlier"


@pytest.mark.parametrize("command", ["decode", "info", "unpack"])
@pytest.mark.parametrize("content", [None, b"", b"SD", b"SDC\1", b"SDC\2abc", np.random.default_rng(0).bytes(900)])
def test_bytes_that_are_no_file(command, content, tmp_path, earlier, capsys, no_models):
    if content is not None:
        (tmp_path / "bad.sedic").write_bytes(content)
    output = [] if command == "info" else ["-o", earlier]
    failure(capsys, command, tmp_path / "bad.sedic", *output)
    assert earlier.read_bytes() == b"earlier"


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
    assert earlier.read_bytes() == b"earlier"


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
    assert earlier.read_bytes() == b"earlier"


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
    assert earlier.read_bytes() == b"earlier"


def test_impossible_budget_says_what_would_do(scene, earlier, capsys):
    told = failure(capsys, "encode", scene / "a.png", "-o", earlier, "--target-bpp", "0.001")
    assert "0.001 bpp is too little" in told
    assert "--target-bpp" in told
    assert earlier.read_bytes() == b"earlier"


def test_codec_of_a_newer_program(tmp_path, earlier, capsys, no_models):
    SedicFile(64, 64, 31, 9, b"123456", Semantics("a")).write(tmp_path / "new.sedic")
    assert "31" in failure(capsys, "decode", tmp_path / "new.sedic", "-o", earlier)
    assert earlier.read_bytes() == b"earlier"


def test_damaged_reference(tmp_path, earlier, capsys, no_models):
    SedicFile(64, 64, 1, 9, b"\xff\0" + bytes(40), Semantics("a")).write(tmp_path / "bad.sedic")
    failure(capsys, "decode", tmp_path / "bad.sedic", "-o", earlier)
    assert earlier.read_bytes() == b"earlier"


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
def test_no_steps_at_all(option, scene, earlier, capsys, no_models):
    assert option in failure(capsys, "decode", scene / "a.sedic", "-o", earlier, option, "0")
    assert earlier.read_bytes() == b"earlier"


def test_models_that_are_not_there(scene, tmp_path, capsys):
    told = failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--models", tmp_path / "absent")
    assert "absent" in told


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_device_that_is_not_there(device, scene, tmp_path, capsys):
    told = failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--device", device)
    assert device in told or "--device" in told


def test_broken_guidance_is_one_line(scene, tmp_path, capsys, preloaded, monkeypatch):
    from sedic.restoration import stages
    from sedic.restoration.guidance import GuidanceError

    def fail(*_, **__):
        raise GuidanceError("The guidance gradient is not finite; lower eta or turn guidance off for this model.")

    monkeypatch.setattr(stages, "guide", fail)
    assert "guidance" in failure(capsys, "decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--object-steps", "1")


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
    assert earlier.read_bytes() == b"earlier"


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
