"""``sedic evaluate`` on the command line."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from sedic.cli import main

from .support import failure


def test_a_folder_is_measured_and_told_as_json(scene, tmp_path, capsys, no_models):
    decoded = tmp_path / "decoded"
    decoded.mkdir()
    Image.open(scene / "a.png").point(lambda level: min(255, level + 1)).save(decoded / "a.png")
    arguments = ["evaluate", scene, "--decoded", decoded, "--metrics", "psnr", "-o", tmp_path / "r.html", "--json"]
    assert main([str(a) for a in arguments]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["pictures"] == 1  # the masks that s.json names are none
    assert facts["figures"]["final"]["psnr"] > 48
    assert facts["left_out"] == {}
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "sedic evaluate" in page
    assert (tmp_path / "r.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to measure; add --files DIR"),
        (["--encode", "--ablation", "steps"], "--encode and --ablation exclude each other"),
        (["--encode", "--files", "."], "--files and --encode exclude each other"),
        (["--encode", "--pictures", "0"], "--pictures is 0"),
        (["--encode", "--steps", "1,1"], "belongs to --ablation steps"),
        (["--encode", "--metrics", "vmaf"], "no figure 'vmaf'"),
        (["--encode", "--target-bpp", "0"], "must be above 0"),
        (["--decoded", "nowhere"], "nowhere cannot be read"),
    ],
)
def test_what_cannot_be_measured_is_one_line(scene, tmp_path, capsys, no_models, arguments, told):
    assert told in failure(capsys, "evaluate", scene, "-o", tmp_path / "r", *arguments)
    assert not list(tmp_path.iterdir())


def test_the_parsers_choices_are_the_librarys():
    from sedic.cli import evaluate
    from sedic.evaluation import ablations, protocols

    assert evaluate.ABLATIONS == ablations.NAMES
    assert tuple(protocols.PROTOCOLS) == evaluate.PROTOCOLS
