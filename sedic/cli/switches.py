"""The decoder's switches on the command line: options in groups, and the settings that they make."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import SedicError
from ..restoration.settings import (
    ATTENTION_LAYERS,
    CONDITIONS,
    FEW_STEPS,
    PRECISIONS,
    PREVIEW,
    REDUCTIONS,
    STARTS,
    GuidanceSettings,
    Settings,
    few_steps,
    guidance_in,
)
from ..restoration.solvers import SOLVERS
from ..restoration.words import ORDERS, TOKENS


def add_switches(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``sedic decode`` that say how to restore; their defaults are the settings' own."""
    plain, steering = Settings(), GuidanceSettings()
    models = parser.add_argument_group("models")
    models.add_argument("--models", default="embedded", metavar="DIR|embedded", help="default: %(default)s")
    models.add_argument(
        "--lora", type=_lora, action="append", default=[], metavar="FILE[:STRENGTH]",
        help="a LoRA for the network and its text encoders, 1 strong unless told; may be repeated",
    )  # fmt: skip
    models.add_argument("--device", default="cpu", help="as PyTorch names it; default: %(default)s")
    models.add_argument(
        "--precision", choices=PRECISIONS, default=PRECISIONS[0],
        help="of the network and its ControlNet; auto: bfloat16 where the processor has it; default: %(default)s",
    )  # fmt: skip
    models.add_argument("--weights", type=Path, metavar="DIR", help="weights of reference codecs that need any")
    models.add_argument(
        "--working-size", type=int, metavar="N",
        help="pixels a side, a multiple of 64; larger pictures are restored in tiles; default: the model's own",
    )  # fmt: skip

    stages = parser.add_argument_group("stages (Algorithm 1)")
    steps = f"default: {plain.object_steps}, and fewer for the embedded models"
    stages.add_argument("--preview", action="store_true", help=f"for a quick look: {PREVIEW:.0%}% of the default steps")
    few = few_steps(plain)
    stages.add_argument(
        "--few-steps", type=int, nargs="?", const=few.object_steps, metavar="N",
        help=f"for models and LoRAs made for it (LCM, Turbo, Lightning, Hyper): N steps a stage, 1 to {FEW_STEPS}, "
        f"{few.object_steps} unless told, CFG 1, {few.sampler}, {few.scheduler}; default: where the models say so",
    )  # fmt: skip
    stages.add_argument("--object-steps", type=int, metavar="N", help=steps)
    stages.add_argument("--overall-steps", type=int, metavar="N", help=f"default: {plain.overall_steps}, likewise")
    stages.add_argument(
        "--object-cfg", type=float, nargs="+", metavar="X",
        help=f"classifier-free guidance of all objects' stages, or of each in turn; default: {plain.object_scale}",
    )  # fmt: skip
    stages.add_argument("--overall-cfg", type=float, metavar="X", help=f"default: {plain.overall_scale}")
    stages.add_argument("--negative", metavar="TEXT", help=f"default: {plain.negative}")
    stages.add_argument("--sampler", metavar="NAME", help=f"{', '.join(SOLVERS)}; default: {plain.sampler}")
    stages.add_argument("--scheduler", metavar="NAME", help=f"ComfyUI's spacings; default: {plain.scheduler}")
    stages.add_argument("--order", metavar="ORDER", help=f"{_choices(ORDERS)}, or numbers: 2,1,3")
    stages.add_argument("--condition", choices=_words(CONDITIONS), help="of the last stage; default: the first")
    stages.add_argument("--start", choices=_words(STARTS), help="of the last stage; default: the first")
    stages.add_argument(
        "--strength", type=float, metavar="S", help=f"of --start noised-picture, 0 to 1; default: {plain.strength}"
    )
    stages.add_argument(
        "--color-fix", action=argparse.BooleanOptionalAction,
        help="put every stage's coarse colours back to the reference's; default: for the embedded models",
    )  # fmt: skip
    stages.add_argument(
        "--detail", type=float, metavar="SHARE",
        help="kept, with --color-fix, of what a stage paints finer than those colours, 0 to 1; default: "
        f"{plain.detail:g}, and less for the embedded models",
    )  # fmt: skip
    stages.add_argument("--seed", type=int, metavar="N", help="of the noise, 0 or more; default: the file's")

    guidance = parser.add_argument_group("attention guidance (Eqs. 2 and 3)")
    guidance.add_argument("--no-guidance", action="store_true", help="leave it out")
    guidance.add_argument("--eta", type=float, metavar="X", help=f"step size; default: {steering.eta:g}")
    quick = guidance_in(FEW_STEPS, steering)
    guidance.add_argument(
        "--t-prime", type=float, metavar="X",
        help=f"guided while t/T is above it; default: {steering.t_prime}, {quick.t_prime:g} up to {FEW_STEPS} steps",
    )  # fmt: skip
    guidance.add_argument(
        "--updates", type=int, metavar="N",
        help=f"most a step; default: {steering.updates}, {quick.updates} up to {FEW_STEPS} steps",
    )  # fmt: skip
    guidance.add_argument(
        "--threshold", type=float, metavar="E", help=f"energy at which they end; default: {steering.threshold}"
    )
    guidance.add_argument(
        "--layers", nargs="+", choices=_words(ATTENTION_LAYERS), metavar="LAYERS",
        help=f"some of {_choices(ATTENTION_LAYERS)}; default: the first",
    )  # fmt: skip
    guidance.add_argument(
        "--no-control-gradient", action="store_true", help="take what the ControlNet adds as a constant: cheaper"
    )
    guidance.add_argument("--energy", choices=REDUCTIONS, help="over the tokens; default: the first")
    guidance.add_argument("--tokens", choices=_words(TOKENS), help="which words are guided; default: the first")
    guidance.add_argument("--words", nargs="+", metavar="WORDS", help="those of --tokens chosen-words")

    fusion = parser.add_argument_group("fusion of stages (Eq. 4)")
    fusion.add_argument("--no-fusion", action="store_true", help="leave it out")
    fusion.add_argument(
        "--soft-edge", type=int, metavar="CELLS", help=f"of 8 pixels, around a mask; default: {plain.soft_edge}"
    )


def settings_from(options: argparse.Namespace, settings: Settings) -> Settings:
    """``settings`` with the options that were given.

    Raises:
        SedicError: a value is out of range.
    """
    for name in ("object_steps", "overall_steps", "updates"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise SedicError(f"--{name.replace('_', '-')} is {value}; it must be 1 or more.")
    if options.few_steps is not None:
        if not 1 <= options.few_steps <= FEW_STEPS:
            raise SedicError(f"--few-steps is {options.few_steps}; it must be 1 to {FEW_STEPS}.")
        settings = few_steps(settings, options.few_steps)
    guidance = _given(
        options, eta="eta", t_prime="t_prime", updates="updates", threshold="threshold", energy="reduction"
    )
    if options.layers:
        guidance["layers"] = tuple(_spaced(name) for name in options.layers)
    if options.no_control_gradient:
        guidance["through_control"] = False
    same = ("object_steps", "overall_steps", "negative", "sampler", "scheduler", "strength", "seed", "soft_edge",
            "working_size", "color_fix", "detail")  # fmt: skip
    quick = {name: max(1, round(PREVIEW * getattr(settings, name))) for name in ("object_steps", "overall_steps")}
    chosen: dict[str, Any] = quick if options.preview else {}
    chosen |= _given(options, overall_cfg="overall_scale", **{name: name for name in same})
    for name in ("order", "condition", "start", "tokens"):
        if getattr(options, name) is not None:
            chosen[name] = _spaced(getattr(options, name))
    if options.words:
        chosen |= {"words": tuple(options.words), "tokens": "chosen words"}
    if options.object_cfg:
        chosen |= {"object_scales": tuple(options.object_cfg[:-1]), "object_scale": options.object_cfg[-1]}
    return replace(
        settings,
        guide=settings.guide and not options.no_guidance,
        fuse=settings.fuse and not options.no_fusion,
        guidance=replace(guidance_in(chosen.get("object_steps", settings.object_steps), settings.guidance), **guidance),
        **chosen,
    )


def _lora(text: str) -> tuple[Path, float]:
    """``FILE[:STRENGTH]``; what follows a colon and is no number belongs to the file's name."""
    file, colon, strength = text.rpartition(":")
    try:
        return (Path(file), float(strength)) if colon and not Path(text).is_file() else (Path(text), 1.0)
    except ValueError:
        return Path(text), 1.0


def _given(options: argparse.Namespace, **names: str) -> dict[str, Any]:
    """Option names to settings' names, for those that were given."""
    return {setting: getattr(options, name) for name, setting in names.items() if getattr(options, name) is not None}


def _words(choices: tuple[str, ...]) -> list[str]:
    return [choice.replace(" ", "-") for choice in choices]


def _choices(choices: tuple[str, ...]) -> str:
    return ", ".join(_words(choices))


def _spaced(word: str) -> str:
    return word.replace("-", " ")
