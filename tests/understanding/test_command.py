"""``sedic encode PHOTO --endpoint PROFILE -o x.sedic`` from start to finish."""

from __future__ import annotations

import json

import pytest

from sedic.bitstream import SedicFile
from sedic.cli import main
from sedic.demo import PHOTOGRAPH

from .chat_server import GOOD, KEY, completion, failure
from .test_grounding import folder as small_dino  # noqa: F401
from .test_segment import folder as small_sam  # noqa: F401


@pytest.fixture
def home(server, tmp_path, monkeypatch):
    """A home folder whose profile `home` is the server, with its key in the environment."""
    folder = tmp_path / ".config" / "sedic"
    folder.mkdir(parents=True)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    (folder / "endpoints.toml").write_text(f'[home]\nbase_url = "{url}"\nmodel = "eyes"\nkey_env = "EYES_KEY"\n')
    for name, value in {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "EYES_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return tmp_path


def encode(home, *more):
    return main(["encode", str(PHOTOGRAPH), "--endpoint", "home", "-o", str(home / "x.sedic"), *map(str, more)])


def test_a_photo_becomes_a_file_with_words_masks_and_no_key(server, home, capfd, small_dino, small_sam):  # noqa: F811
    models = ["--detector", small_dino, "--segmenter", small_sam]
    # The models are random: with these thresholds they find something everywhere.
    models += ["--box-threshold", 0, "--text-threshold", 0, "--several", "best"]
    status = encode(home, *models)
    said = capfd.readouterr()
    assert status == 0, said.err
    assert said.out.startswith(f"{home / 'x.sedic'}: ")
    file = SedicFile.read(home / "x.sedic")
    assert file.semantics.overall == GOOD["overall"]
    assert [o.name for o in file.semantics.objects if o.mask is not None]
    assert server.keys == [f"Bearer {KEY}"]
    kept = list((home / ".cache" / "sedic" / "answers").iterdir())
    assert len(kept) == 1
    for path in [home / "x.sedic", *kept]:
        assert KEY.encode() not in path.read_bytes()
    assert KEY not in said.out + said.err


def test_the_same_photo_again_costs_nothing_unless_asked_again(server, home, capsys):
    assert encode(home) == 0
    first = (home / "x.sedic").read_bytes()
    assert "'red barn' has no mask" in capsys.readouterr().err
    server.answers = [completion('{"objects": [], "overall": "something else"}')]
    assert encode(home) == 0
    assert (home / "x.sedic").read_bytes() == first
    assert "Note: These words were asked for earlier" in capsys.readouterr().err
    assert len(server.asked) == 1
    assert encode(home, "--ask-again") == 0
    assert SedicFile.read(home / "x.sedic").semantics.overall == "something else"


def test_limits_and_presets_reach_the_question(server, home):
    assert encode(home, "--preset", "low", "--name-words", 4) == 0
    text = server.asked[0]["messages"][0]["content"][0]["text"]
    for part in ("the 1 most important", "of 4 words", "in 20 words", "in 30 words"):
        assert part in text


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (failure(401), "does not accept the key"),
        (failure(500), "failed on its side"),
        (failure(400, "Model does not support images."), "takes no pictures"),
        (completion(json.dumps(GOOD)[:30]), "cut short"),
        (completion(None, refusal="no"), "refuses"),
    ],
)
def test_a_failure_is_one_line_without_the_key_and_leaves_no_file(server, home, capsys, answer, told):
    server.answers = [answer]
    assert encode(home) == 1
    output = capsys.readouterr()
    assert told in output.err
    assert len([line for line in output.err.splitlines() if not line.startswith("Note: ")]) == 1
    assert KEY not in output.err + output.out
    assert not (home / "x.sedic").exists()


def test_a_device_that_is_not_there_is_told(home, capsys):
    assert encode(home, "--device", "cuda:99") == 1
    assert "no device 'cuda:99'" in capsys.readouterr().err
