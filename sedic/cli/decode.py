"""``sedic decode``: a file to a picture, stage by stage."""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from .. import output, threads
from ..bitstream import SedicFile
from ..errors import SedicError
from ..restoration.settings import Settings
from . import files, folders
from .bars import Bars
from .speech import Speech
from .switches import add_switches, settings_from


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers."""
    command = kinds.add_parser("decode", help=".sedic to picture")
    command.add_argument(
        "file", type=files.name, nargs="+",
        help="a .sedic file, or - for standard input; or several, folders, patterns",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", type=files.name, required=True, metavar="OUT.png",
        help="- is standard output, as PNG; of several files a folder",
    )  # fmt: skip
    command.add_argument(
        "--force", action="store_true", help="of several files: replace pictures that no earlier run wrote"
    )
    command.add_argument("--stages", type=Path, metavar="DIR", help="also write the picture after each stage there")
    command.add_argument("--until", choices=("reference", "object", "final"), default="final")
    command.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    folders.add_switches(command)
    add_switches(command)
    command.set_defaults(run=run, writes_data=True)


def run(options: argparse.Namespace, speech: Speech) -> None:
    """A file to a picture, stage by stage; the output's name is taken once, when its picture is there."""
    threads.share()
    if folders.several(options.file):
        folders.run(folders.decoding(options), options, speech)
        return
    (options.file,) = options.file
    folders.tell_no_use(options)
    from .. import codec
    from ..picture import picture_bytes, picture_format, write_picture

    threads.adapt()
    file = files.read_sedic(options.file)
    stage_files = _checked(options, file)
    if file.missing:
        warnings.warn(file.missing, stacklevel=2)
    settings = codec.settings_of(file, _defaults(options))
    settings = settings_from(options, settings)
    picture = codec.reference_of(file).picture(options.weights)
    done: list[dict[str, Any]] = []

    def keep(name: str, seconds: float) -> None:
        done.append({"name": name, "seconds": round(seconds, 3)})
        if options.stages:
            write_picture(stage_files[name], picture)
            done[-1]["file"] = str(stage_files[name])

    if options.stages:
        output.make_folder(options.stages)
    keep("reference", 0.0)
    if options.until != "reference":
        models = codec.load_models(options.models, options.device, options.precision, options.lora)
        started = time.monotonic()
        with Bars() as bars:
            told = _progress(bars, settings.object_steps, settings.overall_steps)
            for stage in codec.decode(file, models, settings, options.until, told, options.weights):
                picture = codec.to_pixels(stage.image)
                keep(stage.name, time.monotonic() - started)
                speech.say(f"{stage.name}: {time.monotonic() - started:.1f} s")
                threads.adapt()
                started = time.monotonic()
        if len(done) == 1:
            warnings.warn("No object has a mask, so the picture is the reference.", stacklevel=2)
    format = picture_format(options.output) if isinstance(options.output, Path) else "PNG"
    files.write(options.output, picture_bytes(picture, format, str(options.output)))
    speech.json(
        {
            "output": str(options.output),
            "width": file.width,
            "height": file.height,
            "until": options.until,
            "seed": settings.seed,
            "stages": done,
            "missing_sections": list(file.missing_sections),
        }
    )


def _defaults(options: argparse.Namespace) -> Settings:
    """The settings of the models that were named; told where they were made for few steps."""
    from .. import codec

    settings = codec.default_settings(options.models)
    if options.models != "embedded" and options.few_steps is None and settings != codec.default_settings(""):
        warnings.warn(
            f"{options.models} says that it was made for few steps: {settings.object_steps} for an object, "
            f"{settings.overall_steps} for the whole, CFG 1, {settings.sampler}; options of yours come first.",
            stacklevel=2,
        )
    return settings


def _checked(options: argparse.Namespace, file: SedicFile) -> dict[str, Path]:
    """The stages' files; told before the work: outputs that cannot be written, or would replace what they should not.

    Raises:
        SedicError: one of these, or a LoRA that is not there.
    """
    from ..picture import picture_format
    from ..restoration.diffusers_backend import lora

    for path, strength in options.lora:
        lora.check(path, strength)
    files.check_output(options.output, [options.file], hides=True)
    if isinstance(options.output, Path):
        picture_format(options.output)
    if not options.stages:
        return {}
    files.check_folder(options.stages)
    names = ["reference", *(f"object{j}" for j in range(1, len(file.semantics.objects) + 1)), "final"]
    paths = {name: options.stages / f"{name}.png" for name in names}
    for name, path in paths.items():
        if options.stages.is_dir():
            files.check_output(path, [options.file], hides=True)
        if not name.startswith(options.until) and files.same(path, options.output):
            raise SedicError(f"{options.output} is where --stages keeps the picture of {name}; name another output.")
    return paths


def _progress(bars: Bars, object_steps: int, overall_steps: int) -> Any:
    """What :func:`sedic.codec.decode` tells of each stage, as bars with the stage's steps."""

    def stage(name: str) -> Any:
        total = overall_steps if name == "final" else object_steps
        bars(name, 0, total)
        return lambda step, denoised, x: bars(name, step + 1, total)

    return stage
