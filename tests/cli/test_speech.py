"""What commands say: help, JSON in any terminal, strangers' characters, bars."""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from sedic.bitstream import SedicFile
from sedic.cli import main, parser, speech
from sedic.cli.bars import Bars
from sedic.progress import track, watched_by
from sedic.semantics import SceneObject, Semantics

from .support import HEIGHT, WIDTH, failure

EVIL = "cup\x1b[2J\x07\n\u202egpj.exe\u2066 \u0085\u200e谷"


@pytest.fixture
def evil(tmp_path):
    """A file whose words move the cursor and turn the direction of writing."""
    SedicFile(64, 72, 1, 80, b"any", Semantics(EVIL, (SceneObject(EVIL, EVIL),))).write(tmp_path / "evil.sedic")
    return tmp_path / "evil.sedic"


def commands() -> list[str]:
    (kinds,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return sorted(kinds.choices)


@pytest.mark.parametrize("command", ["", *commands()])
def test_every_help_text_can_be_rendered(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "%(" not in text
    assert "%%" not in text


@pytest.mark.parametrize("module", ["sedic.bench.__main__", "headless.client", "headless.demo"])
def test_the_other_programs_help_can_be_rendered(module, monkeypatch, capsys):
    try:
        program = importlib.import_module(module)
    except ModuleNotFoundError as error:
        pytest.skip(f"needs {error.name}")
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as caught:
        program.main()
    assert caught.value.code == 0
    assert capsys.readouterr().out


def test_text_shows_no_control_and_no_bidi_character(evil, tmp_path, capsys):
    assert main(["info", str(evil)]) == 0
    out = capsys.readouterr().out
    assert r"cup\x1b[2J\x07\n\u202egpj.exe\u2066 \x85\u200e谷" in out
    assert not [c for c in out if c != "\n" and speech.shown(c) != c]
    (tmp_path / "s.json").write_text(Semantics("", (SceneObject(EVIL), SceneObject(EVIL))).to_json())
    Image.new("RGB", (64, 72)).save(tmp_path / "a.png")
    command = ["encode", tmp_path / "a.png", "--semantics", tmp_path / "s.json", "-o", tmp_path / "o.sedic"]
    assert main([*map(str, command), "--reference", "av1:200", "--objects", "1"]) == 0
    told = failure(capsys, "info", tmp_path / f"a\x1b[2J\u202e{'b'}.sedic")
    assert r"\x1b[2J\u202eb" in told
    assert not [c for c in told if speech.shown(c) != c]


def test_notes_show_none_either(evil, tmp_path, capsys):
    with warnings.catch_warnings():
        said = speech.Speech()
        with said.hears_warnings():
            warnings.warn(EVIL, stacklevel=1)
    err = capsys.readouterr().err
    assert err.startswith(r"Note: cup\x1b[2J\x07 \u202egpj")
    assert said.notes == [EVIL.replace("\n", " ")]


def test_letters_that_join_others_stay():
    for text in ("می\u200cخواهم", "👩\u200d🚀", "a\\b", "é"):
        assert speech.shown(text) == text


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "utf-16"])
def test_json_is_utf_8_and_the_same_on_every_terminal(encoding, evil, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["info", str(evil), "--json"]) == 0
    text = stream.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]
    assert json.loads(text)["semantics"]["overall"] == EVIL
    assert not [c for c in text if c != "\n" and speech.shown(c) != c]


def test_each_command_tells_one_object_with_its_notes(scene, tmp_path, preloaded, capsys):
    def told(*arguments) -> dict:
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    out = tmp_path / "o.sedic"
    facts = told("encode", scene / "a.png", "-o", out, "--reference", "av1:80")
    assert facts["bytes"] == out.stat().st_size == sum(section["bytes"] for section in facts["sections"])
    assert facts["output"] == str(out)
    assert any("no words" in note for note in facts["notes"])
    facts = told("decode", scene / "a.sedic", "-o", tmp_path / "o.png", "--object-steps", 1, "--overall-steps", 1,
                 "--seed", 5)  # fmt: skip
    assert [stage["name"] for stage in facts["stages"]] == ["reference", "object1", "object2", "final"]
    assert (facts["output"], facts["seed"], facts["notes"]) == (str(tmp_path / "o.png"), 5, [])
    assert (facts["width"], facts["height"], facts["until"]) == (WIDTH, HEIGHT, "final")
    facts = told("compare", scene / "a.png", scene / "a.png")
    assert (facts["psnr"], facts["width"], facts["notes"]) == (None, WIDTH, [])
    facts = told("unpack", scene / "a.sedic", "-o", tmp_path / "d")
    assert len(facts["files"]) == 4
    assert told("info", scene / "a.sedic")["notes"] == []


def test_json_beside_a_file_on_standard_output_is_all_of_standard_error(scene, capsysbinary):
    capsysbinary.readouterr()
    assert main(["encode", str(scene / "a.png"), "-o", "-", "--reference", "av1:80", "--json"]) == 0
    said = capsysbinary.readouterr()
    assert said.out.startswith(b"SDC")
    assert json.loads(said.err)["notes"]


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals as Unix has them")
def test_bars_have_a_total_and_only_where_someone_watches(monkeypatch):
    import fcntl
    import pty
    import select
    import struct
    import termios

    monkeypatch.setattr("sedic.cli.bars.DELAY", 0)
    main_end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    unwatched = io.StringIO()
    with open(terminal, "w") as watched:
        for stream in (watched, unwatched):
            monkeypatch.setattr(sys, "stderr", stream)
            with Bars() as bars, watched_by(bars):
                list(track(range(3), "work"))
        watched.flush()
        assert select.select([main_end], [], [], 10)[0], "nothing was drawn"
        assert "0/3" in os.read(main_end, 4096).decode()
    os.close(main_end)
    assert unwatched.getvalue() == ""


def test_long_work_tells_how_much_there_is(monkeypatch):
    from sedic import codec
    from sedic.metrics import fidelity

    told: dict[str, set[int]] = {}
    seen = lambda what, done, total: told.setdefault(what, set()).add(done if done < total else -total)  # noqa: E731
    monkeypatch.setattr("sedic.reference.compact.search.REFINED", (64, 32))
    monkeypatch.setattr("sedic.metrics.fidelity._STRIP", 1 << 12)
    image = np.random.default_rng(0).integers(0, 256, (192, 192, 3), np.uint8)
    with watched_by(seen):
        codec.encode(image, "overall: noise", target_bpp=0.5)
        fidelity.fidelity(image, image)
    for what in ("reference, refinement", "MS-SSIM, scale 1 of 5"):
        assert len(told[what]) > 3, told
    assert 0 in told["rate control"]
    assert all(min(done) < 0 for done in told.values()), "every bar ends"
