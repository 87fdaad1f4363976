"""``python -m sedic.bench``: what there is to measure."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from .. import threads

if __name__ == "__main__":
    threads.share()  # what is imported next loads PyTorch

from ..errors import SedicError
from . import bitstream, busy, eyes, folders, pristine, reference, restoration, speed
from .decoder import measure as measure_decoder
from .energy import VARIANTS
from .restoration import predictable, sheets


def main() -> int:
    """Runs a measurement; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sedic.bench")
    commands = parser.add_subparsers(required=True, metavar="NAME")
    file = commands.add_parser("bitstream", help="words and masks beside other compressors")
    file.add_argument("--text", type=Path, metavar="DIR", help="the folder that holds text/ with descriptions")
    file.add_argument("--images", type=Path, metavar="DIR", help="NAME.png with NAME.json and masks beside it")
    file.set_defaults(run=lambda o: bitstream.measure(o.text, o.images))
    beside = commands.add_parser("busy", help="how long a decode takes beside other programs")
    beside.add_argument("--image", type=Path, metavar="PICTURE", help="with NAME.json beside it; default: the demo's")
    beside.add_argument("--runs", type=int, default=busy.RUNS, metavar="N", help="of each; default: %(default)s")
    beside.set_defaults(run=lambda o: busy.measure(o.image, o.runs))
    parts = commands.add_parser("speed", help="processor seconds of decode, info, words, masks and reference")
    parts.add_argument("--image", type=Path, metavar="PICTURE", help="with NAME.json beside it; default: the demo's")
    parts.add_argument("--beside", type=Path, metavar="DIR", help="another checkout, timed in turns with this one")
    parts.add_argument("--turns", type=int, default=speed.TURNS, metavar="N", help="of each; default: %(default)s")
    parts.add_argument("--large", type=int, default=speed.LARGE, metavar="PIXELS", help="side; default: %(default)s")
    parts.add_argument("--only", nargs="+", metavar="PART", help="parts by their names in the table")
    parts.set_defaults(run=lambda o: speed.measure(o.image, o.beside, o.turns, o.large, o.only))
    eye = commands.add_parser("eyes", help="what the embedded eyes find of objects that people outlined")
    eye.add_argument("--images", type=Path, required=True, metavar="DIR", help="NAME.png with NAME.json beside it")
    eye.add_argument("--sheet", type=Path, metavar="JPEG", help="also write what was found as one picture")
    eye.set_defaults(run=lambda o: eyes.measure(o.images, o.sheet))
    many = commands.add_parser("folders", help="pictures a second of sedic encode or decode, by the number of workers")
    many.add_argument("--images", type=Path, required=True, metavar="DIR", help="pictures")
    many.add_argument("--pictures", type=int, default=folders.PICTURES, metavar="N", help="default: %(default)s")
    many.add_argument("--jobs", type=int, nargs="+", metavar="N", help="default: 1, and as many as there are cores")
    many.add_argument("--decode", action="store_true", help="also decode what was encoded")
    many.set_defaults(run=lambda o: folders.measure(o.images, o.pictures, o.jobs, o.decode))
    _add_decoder(commands)
    _add_restoration(commands)
    _add_reference(commands)
    options = parser.parse_args()
    try:
        options.run(options)
    except SedicError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _add_decoder(commands: Any) -> None:
    decoder = commands.add_parser("decoder", help="exactness of the decoder, its energy, and its cost inside ComfyUI")
    decoder.add_argument("--images", type=Path, metavar="DIR", help="also the energy over the objects of its pictures")
    decoder.add_argument("--pictures", type=int, default=4, metavar="N", help="of DIR; default: %(default)s")
    decoder.add_argument("--side", type=int, default=192, metavar="PIXELS", help="shorter side; default: %(default)s")
    decoder.add_argument(
        "--variants", nargs="+", default=["defaults"], metavar="NAME",
        help=f"of guidance, some of: {', '.join(VARIANTS)}; default: defaults",
    )  # fmt: skip
    decoder.add_argument("--cost", action="store_true", help="also in ComfyUI, on a checkpoint of full size")
    decoder.set_defaults(run=lambda o: measure_decoder(o.images, o.pictures, o.side, o.variants, o.cost))


def _add_reference(commands: Any) -> None:
    plain = reference.Options(Path(), Path("out", "reference"))
    add = commands.add_parser(
        "reference", help="the reference beside other codecs: rates, times, machines"
    ).add_argument
    add(
        "--images", type=Path, required=True, metavar="DIR", help="pictures; of those with NAME.json beside, only those"
    )
    add("--out", type=Path, default=plain.out, metavar="DIR", help="keeps all results; default: %(default)s")
    add("--only", nargs="+", choices=reference.PARTS, default=plain.only, metavar="PART",
        help=f"some of {', '.join(reference.PARTS)}; the others are printed as far as they are kept")  # fmt: skip
    add("--codecs", nargs="+", metavar="NAME", help="default: all, without those that search for long")
    add("--slow", action="store_true", help="also av1-slow, compact-slow and compact-1")
    add("--weights", type=Path, metavar="DIR", help="holds cheng2020-attn/q1.pth …, which is then compared, too")
    add("--pictures", type=int, metavar="N", help="the first ones only")
    add("--matrix-pictures", type=int, metavar="N", help="the first ones only, in the matrix, which is slow")
    add("--workers", type=int, default=plain.workers, metavar="N", help="processes of one thread; default: %(default)s")
    add("--json", action="store_true", help="print JSON")
    add("--markdown", type=Path, metavar="FILE", help="write the tables into this page, plot and sheet beside it")
    names = [field.name for field in fields(reference.Options)]
    commands.choices["reference"].set_defaults(
        run=lambda o: reference.measure(reference.Options(**{name: getattr(o, name) for name in names}))
    )


def _add_restoration(commands: Any) -> None:
    plain = restoration.Options(None, None, Path())
    folders = argparse.ArgumentParser(add_help=False)
    folders.add_argument(
        "--out", type=Path, default=Path("out", "restoration"), metavar="DIR", help="keeps all results"
    )
    folders.add_argument("--workers", type=int, default=plain.workers, metavar="N", help="processes of one thread each")

    main = commands.add_parser(
        "restoration", parents=[folders], help="what the embedded models restore, and the paper's effects"
    )  # fmt: skip
    main.add_argument("--heldout", type=Path, metavar="DIR", help="pictures with annotations.jsonl")
    main.add_argument("--images", type=Path, metavar="DIR", help="NAME.png with NAME.json and masks beside it")
    main.add_argument("--pictures", type=int, default=plain.pictures, metavar="N", help="default: %(default)s")
    main.add_argument(
        "--image-pictures", type=int, default=plain.image_pictures, metavar="N", help="default: %(default)s"
    )
    main.add_argument(
        "--sides", type=int, nargs="+", default=plain.sides, metavar="PIXELS",
        help=f"shorter sides of --images; default: {' '.join(map(str, plain.sides))}",
    )  # fmt: skip
    main.add_argument("--only", nargs="+", choices=restoration.CHOICES, default=plain.only, metavar="ROWS",
                      help=f"some of {', '.join(restoration.CHOICES)}; default: all but the last")  # fmt: skip
    main.add_argument("--minutes", type=float, metavar="N", help="begin no picture behind them")
    main.add_argument("--again", action="store_true", help="print what is there, restore nothing")
    main.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables into this file, too")
    main.set_defaults(run=lambda o: restoration.measure(restoration.Options(
        o.heldout, o.images, o.out, o.pictures, o.image_pictures, o.sides, o.only, o.workers, o.minutes, o.again,
        o.markdown,
    )))  # fmt: skip

    sheet = commands.add_parser("sheet", parents=[folders], help="held-out pictures, stage by stage, as one JPEG")
    sheet.add_argument("--heldout", type=Path, required=True, metavar="DIR")
    sheet.add_argument(
        "--to", type=Path, default=Path("docs", "heldout.jpg"), metavar="JPEG", help="default: %(default)s"
    )
    sheet.add_argument("--pictures", type=int, default=12, metavar="N", help="default: %(default)s")
    sheet.set_defaults(
        run=lambda o: sheets.held_out_sheet(o.heldout, o.out / "heldout", o.to, o.pictures, o.workers, plain.pictures)
    )

    training = commands.add_parser("training", help="samples over training time, as one JPEG")
    training.add_argument("run_folder", type=Path, metavar="RUN", help="folder with samples/STEP.png")
    training.add_argument(
        "--to", type=Path, default=Path("docs", "training.jpg"), metavar="JPEG", help="default: %(default)s"
    )
    training.set_defaults(run=lambda o: sheets.training_sheet(o.run_folder, o.to))

    telling = commands.add_parser("predictable", help="how much of an original's features its reference tells")
    telling.add_argument("run_folder", type=Path, metavar="RUN", help="of sedic train diffusion")
    telling.add_argument("--out", type=Path, default=Path("out", "predictable"), metavar="DIR", help="resumed")
    telling.add_argument("--minutes", type=float, default=20, metavar="N", help="of training; default: %(default)s")
    telling.set_defaults(run=lambda o: predictable.measure(o.run_folder, o.out, o.minutes))

    natural = commands.add_parser("pristine", help="fit the shipped model of natural statistics again")
    natural.add_argument("--data", type=Path, required=True, metavar="DIR", help="the training pictures")
    natural.set_defaults(run=lambda o: pristine.measure(o.data))


if __name__ == "__main__":
    sys.exit(main())
