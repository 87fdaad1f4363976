"""The decoder's options on the command line, and the settings that they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from sedic.cli import parser
from sedic.cli.switches import settings_from
from sedic.errors import SedicError
from sedic.restoration.settings import FEW_GUIDANCE, GuidanceSettings, Settings


def made(*options: str) -> Settings:
    return settings_from(parser().parse_args(["decode", "a.sedic", "-o", "a.png", *options]), Settings())


def test_no_option_changes_nothing():
    assert made() == Settings()


def test_every_option_reaches_its_setting():
    line = (
        "--object-steps 3 --overall-steps 4 --object-cfg 2 5 4 --overall-cfg 6 --negative ugly --sampler dpmpp_2m "
        "--scheduler karras --order largest-first --condition reference --start noised-picture --strength 0.5 --seed 9 "
        "--working-size 512 --eta 30 --t-prime 0.5 --updates 2 --threshold 0.1 --layers middle-block second-up-block "
        "--no-control-gradient --color-fix --detail 0.4 --energy max --tokens content-words --soft-edge 2"
    )
    assert made(*line.split()) == Settings(
        object_steps=3, overall_steps=4, object_scales=(2.0, 5.0), object_scale=4.0, overall_scale=6.0,
        negative="ugly", sampler="dpmpp_2m", scheduler="karras", order="largest first", condition="reference",
        start="noised picture", strength=0.5, seed=9, working_size=512, tokens="content words", soft_edge=2,
        color_fix=True,
        detail=0.4,
        guidance=GuidanceSettings(
            eta=30.0, t_prime=0.5, updates=2, threshold=0.1, layers=("middle block", "second up block"),
            through_control=False, reduction="max",
        ),
    )  # fmt: skip


def test_ablations_and_chosen_words():
    assert not made("--no-guidance").guide
    assert not made("--no-fusion").fuse
    options = parser().parse_args(["decode", "a.sedic", "-o", "a.png", "--no-color-fix"])
    assert not settings_from(options, Settings(color_fix=True)).color_fix
    chosen = made("--words", "white rim", "cup")
    assert (chosen.tokens, chosen.words) == ("chosen words", ("white rim", "cup"))
    assert made("--object-cfg", "2").scale_of(3) == 2.0


def test_preview_takes_few_steps_and_leaves_those_that_are_given():
    quick = made("--preview")
    assert (quick.object_steps, quick.overall_steps) == (4, 8)
    given = made("--preview", "--overall-steps", "3")
    assert (given.object_steps, given.overall_steps) == (4, 3)


def test_few_steps_set_all_that_such_models_want_and_leave_what_is_given():
    few = made("--few-steps")
    assert (few.object_steps, few.overall_steps, few.object_scale, few.overall_scale) == (4, 4, 1.0, 1.0)
    assert (few.sampler, few.scheduler) == ("lcm", "sgm_uniform")
    assert few.guidance == GuidanceSettings(**FEW_GUIDANCE)
    given = made(
        "--few-steps", "2", "--overall-steps", "6", "--overall-cfg", "1.5", "--sampler", "euler", "--eta", "30"
    )
    assert (given.object_steps, given.overall_steps, given.overall_scale, given.sampler) == (2, 6, 1.5, "euler")
    assert given.guidance == GuidanceSettings(eta=30.0, **FEW_GUIDANCE)


def test_guidance_follows_the_number_of_steps_until_somebody_chooses():
    assert made("--object-steps", "4").guidance == GuidanceSettings(**FEW_GUIDANCE)
    assert made("--object-steps", "9").guidance == GuidanceSettings()
    chosen = made("--object-steps", "4", "--t-prime", "0.8", "--updates", "5").guidance
    assert (chosen.t_prime, chosen.updates) == (0.8, 5)


def test_loras_are_files_with_strengths_and_may_be_repeated(tmp_path):
    (tmp_path / "a:2").write_bytes(b"")
    line = ["decode", "a.sedic", "-o", "a.png", "--lora", "x.safetensors", "--lora", "y.safetensors:0.5"]
    line += ["--lora", "C:\\z.safetensors", "--lora", f"{tmp_path / 'a:2'}"]
    assert parser().parse_args(line).lora == [
        (Path("x.safetensors"), 1.0), (Path("y.safetensors"), 0.5), (Path("C:\\z.safetensors"), 1.0),
        (tmp_path / "a:2", 1.0),
    ]  # fmt: skip
    assert parser().parse_args(line[:4]).lora == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--object-steps", "0"], "--object-steps is 0; it must be 1 or more"),
        (["--few-steps", "9"], "--few-steps is 9; it must be 1 to 8"),
        (["--few-steps", "0"], "--few-steps is 0"),
        (["--updates", "0"], "--updates is 0"),
        (["--sampler", "uni_pc"], "'uni_pc'"),
        (["--eta", "-3"], "eta is -3"),
        (["--working-size", "500"], "500"),
        (["--order", "2,2"], "'2,2'"),
        (["--layers", "control-net", "--no-control-gradient"], "leave those layers out"),
    ],
)
def test_wrong_values_are_told_in_a_sentence(options, told):
    with pytest.raises(SedicError, match=told):
        made(*options)
