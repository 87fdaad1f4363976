"""``sedic decode``: a file to a picture, stage by stage."""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from .. import threads
from ..bitstream import SedicFile
from .files import make_folder
from .switches import add_switches, settings_from


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers."""
    command = kinds.add_parser("decode", help=".sedic to picture")
    command.add_argument("file", type=Path)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png")
    command.add_argument("--stages", type=Path, metavar="DIR", help="also write the picture after each stage there")
    command.add_argument("--until", choices=("reference", "object", "final"), default="final")
    add_switches(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """A file to a picture, stage by stage."""
    threads.share()
    from .. import codec
    from ..picture import write_picture

    threads.adapt()
    file = SedicFile.read(options.file)
    if file.missing:
        warnings.warn(file.missing, stacklevel=2)
    settings = codec.settings_of(file, codec.default_settings(options.models))
    settings = settings_from(options, settings)
    picture = codec.reference_of(file).picture(options.weights)
    if options.stages:
        make_folder(options.stages)
        write_picture(options.stages / "reference.png", picture)
    if options.until == "reference":
        write_picture(options.output, picture)
        return
    models = codec.load_models(options.models, options.device, options.precision)
    # Written before the long part, so that whatever goes wrong in it, there is a picture.
    write_picture(options.output, picture)
    started = time.monotonic()
    for stage in codec.decode(file, models, settings, options.until, _progress, options.weights):
        picture = codec.to_pixels(stage.image)
        if options.stages:
            write_picture(options.stages / f"{stage.name}.png", picture)
        write_picture(options.output, picture)
        print(f"{stage.name}: {time.monotonic() - started:.1f} s")
        threads.adapt()
        started = time.monotonic()


def _progress(name: str) -> Any:
    from tqdm import tqdm

    bar = tqdm(desc=name, unit="step", leave=False, disable=None)  # only where someone watches

    def tell(step: int, denoised: Any, x: Any) -> None:
        bar.update(step + 1 - bar.n)  # a stage that is run again begins anew

    return tell
