"""``sedic evaluate``: pictures measured, and a report with what others published beside it."""

from __future__ import annotations

import argparse
import math
import shlex
from pathlib import Path
from typing import Any

from .. import threads
from ..errors import SedicError
from ..reference.registry import DEFAULT_CODEC
from .speech import Speech
from .switches import add_switches, settings_from

ABLATIONS = ("table3", "table5", "table7", "steps")
PROTOCOLS = ("folder", "kodak", "clic768", "clic-full", "div2k768", "voc100", "animals100")


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers."""
    command = kinds.add_parser(
        "evaluate", help="a folder of pictures measured: a report, or one of the paper's ablations"
    )
    command.add_argument(
        "originals", type=Path, metavar="ORIGINALS", help="folder of pictures; NAME.json has their words"
    )
    source = command.add_argument_group("what is measured (one of these; --files and --decoded go together, too)")
    source.add_argument("--files", type=Path, metavar="DIR", help="NAME.sedic of each, which are decoded")
    source.add_argument("--decoded", type=Path, metavar="DIR", help="NAME.png and the like: pictures that came back")
    source.add_argument("--encode", action="store_true", help="encode them, with the words beside them, and decode")
    source.add_argument("--ablation", choices=ABLATIONS, help="encode them, and decode with a part left out at a time")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="REPORT",
        help="REPORT.html; REPORT.md and what is kept, beside",
    )
    command.add_argument("--protocol", choices=PROTOCOLS, default=PROTOCOLS[0], help="default: %(default)s")
    command.add_argument("--pictures", type=int, metavar="N", help="the first ones by name only")
    command.add_argument("--metrics", nargs="+", metavar="NAME", help="default: all that can be taken here")
    command.add_argument(
        "--download", action="store_true", help="let the libraries of learned metrics download their weights"
    )
    command.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes of one thread; default: this one"
    )
    command.add_argument(
        "--reference", default=DEFAULT_CODEC, metavar="NAME[:QUALITY]", help="of --encode; default: %(default)s"
    )
    command.add_argument("--target-bpp", type=float, metavar="B", help="of --encode: bits per pixel of a file at most")
    command.add_argument(
        "--steps", nargs="+", default=(), metavar="OBJECT,OVERALL", help="of --ablation steps; default: the paper's"
    )
    command.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_switches(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace, speech: Speech) -> None:
    """Measures a folder of pictures and writes the report."""
    threads.share()
    _check(options)
    from .. import codec
    from ..evaluation.evaluate import Request, evaluate
    from ..evaluation.kept import Plan
    from ..evaluation.variants import Coding
    from ..models.precision import named

    threads.adapt()
    if options.encode or options.ablation:
        codec.check_request(options.reference, options.target_bpp, options.weights)
    codec.require_device(options.device)
    plan = Plan(
        settings_from(options, codec.default_settings(options.models)),
        options.models,
        options.device,
        named(options.precision, options.device),
        None if options.metrics is None else tuple(options.metrics),
        options.download,
        Coding(options.reference, options.target_bpp, options.weights),
    )
    request = Request(
        options.originals, options.output, options.files, options.decoded, options.ablation, options.steps,
        options.protocol, plan, options.pictures, options.workers, shlex.join(["sedic", *map(str, options.typed)]),
    )  # fmt: skip
    result = evaluate(request, speech.say)
    for key, why in result.left_out.items():
        speech.say(f"{key} is left out: {why}")
    speech.say(f"{result.page} and {result.text}: {result.pictures} pictures")
    finite = {
        name: {key: value if math.isfinite(value) else None for key, value in row.items()}
        for name, row in result.figures.items()
    }
    speech.json(
        {
            "report": str(result.page),
            "markdown": str(result.text),
            "pictures": result.pictures,
            "figures": finite,
            "left_out": result.left_out,
        }
    )


def _check(options: argparse.Namespace) -> None:
    """Told before anything heavy is loaded.

    Raises:
        SedicError: options that contradict each other, or are out of range.
    """
    given = [name for name in ("files", "decoded", "encode", "ablation") if getattr(options, name)]
    if not given:
        raise SedicError("There is nothing to measure; add --files DIR, --decoded DIR, --encode or --ablation NAME.")
    if len(given) > 1 and given != ["files", "decoded"]:
        raise SedicError(f"--{given[0]} and --{given[1]} exclude each other; leave one out.")
    for name in ("pictures", "workers"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise SedicError(f"--{name} is {value}; it must be 1 or more.")
    if options.target_bpp is not None and not options.target_bpp > 0:
        raise SedicError(f"--target-bpp is {options.target_bpp}; it must be above 0, say 0.03.")
    if options.steps and options.ablation != "steps":
        raise SedicError("--steps belongs to --ablation steps; leave it out.")
    if not options.originals.is_dir():
        raise SedicError(f"{options.originals} is no folder; name the folder of the originals.")
