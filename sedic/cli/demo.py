"""``sedic demo``: the shipped photograph encoded, shown, decoded and compared, without ComfyUI."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..demo import PHOTOGRAPH, SEMANTICS
from ..output import make_folder
from . import compare, contents, decode, encode
from .speech import Speech


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers."""
    command = kinds.add_parser("demo", help="encode and decode the shipped photograph, without ComfyUI")
    command.add_argument("-o", "--output", type=Path, default=Path("out"), metavar="DIR", help="default: %(default)s")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, speech: Speech) -> None:
    """Encodes, shows, decodes and compares the shipped photograph."""
    make_folder(options.output)
    file = options.output / f"{PHOTOGRAPH.stem}.sedic"
    steps = [
        ["encode", str(PHOTOGRAPH), "--semantics", str(SEMANTICS), "-o", str(file)],
        ["info", str(file)],
        ["decode", str(file), "-o", str(options.output / "final.png"), "--stages", str(options.output)],
        ["compare", str(PHOTOGRAPH), str(options.output / "final.png")],
    ]
    parser = argparse.ArgumentParser(prog="sedic")
    kinds = parser.add_subparsers()
    for command in (encode, contents, decode, compare):
        command.add(kinds)
    for step in steps:
        speech.say("sedic " + " ".join(step))
        chosen = parser.parse_args(step)
        chosen.run(chosen, speech)
