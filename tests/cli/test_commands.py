"""Each command keeps its contract: what it writes and prints."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic import codec
from sedic.bitstream import SedicFile
from sedic.cli import main
from sedic.cli.contents import description
from sedic.semantics import Semantics

from .support import HEIGHT, WIDTH, cut, failure

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
    assert set(facts["coders"]) == {"text", "mask"}
    assert "missing" not in facts
    assert "missing_sections" not in facts


def test_info_on_every_prefix_says_what_is_there_and_what_is_missing(scene):
    data = (scene / "a.sedic").read_bytes()
    whole = description(SedicFile.from_bytes(data))
    names = [section["name"] for section in whole["sections"]]
    for length in range(whole["sections"][0]["bytes"], len(data)):
        facts = description(SedicFile.from_bytes(data[:length]))
        arrived = len(facts["sections"])
        assert facts["sections"] == whole["sections"][:arrived]
        assert facts["missing_sections"] == names[arrived:]
        assert facts["bytes"] == sum(section["bytes"] for section in facts["sections"]) <= length
        assert facts["semantics"]["objects"] == whole["semantics"]["objects"][: max(0, arrived - 3)]
        assert all(name in facts["missing"] for name in names[arrived:])


def test_info_lists_what_is_missing_for_people(scene, tmp_path, capsys):
    (tmp_path / "cut.sedic").write_bytes(cut(scene, "object1"))
    assert main(["info", str(tmp_path / "cut.sedic")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.endswith("missing")] == [
        ["object1", "missing"],
        ["object2", "missing"],
    ]


def test_info_prints_each_part_for_people(scene, capsys):
    assert main(["info", str(scene / "a.sedic")]) == 0
    text = capsys.readouterr().out
    for part in (f"{WIDTH}×{HEIGHT}", "header", "reference av1:80", "overall", "object1", "object2", "cup", "谷"):
        assert part in text


def test_info_loads_what_it_needs_and_the_other_commands_are_still_known(scene):
    code = f"""
import sys
from sedic.cli import main, parser
assert main(["info", {str(scene / "a.sedic")!r}]) == 0
heavy = {{"torch", "psutil", "cv2", "sedic.cli.encode", "sedic.understanding", "multiprocessing"}} & set(sys.modules)
assert not heavy, heavy
assert "evaluate" in parser().format_help()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


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


def test_a_preset_limits_objects_and_words_unless_told_otherwise(scene, tmp_path, capsys):
    arguments = ["encode", scene / "a.png", "--semantics", scene / "s.json", "-o", tmp_path / "b.sedic"]
    arguments += ["--reference", "av1:80", "--preset", "low", "--overall-words", 2]
    assert main([str(a) for a in arguments]) == 0
    semantics = SedicFile.read(tmp_path / "b.sedic").semantics
    assert [o.name for o in semantics.objects] == ["cup"]
    assert semantics.overall == "A cup"


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
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode("utf-8"))["width"] == WIDTH
    command[-2] = str(scene / "absent.sedic")
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
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


def test_a_folder_made_for_few_steps_is_noted_with_its_settings(scene, tmp_path, no_models, capsys):
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "LCMScheduler"}')
    line = ["decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--until", "reference", "--models", tmp_path]
    for more, told in ((), 1), (("--few-steps", "2"), 0):
        assert main([*map(str, line), *more]) == 0
        assert capsys.readouterr().err.count("made for few steps: 4 for an object, 4 for the whole, CFG 1, lcm") == told


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
