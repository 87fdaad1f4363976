"""The command line: encode, decode, info, unpack, compare, train, demo.

Every failure is one line on standard error with exit status 1; wrong usage exits with 2.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from . import __version__, commands
from .errors import SedicError
from .reference.registry import DEFAULT_CODEC
from .semantics import PRESETS
from .switches import add_switches
from .understanding.locate import BOX_THRESHOLD, SEVERAL, TEXT_THRESHOLD


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # words may have letters that a terminal lacks
    options = parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, category, *_: (
            print(f"Note: {message}", file=sys.stderr) if issubclass(category, UserWarning) else None
        )
        try:
            options.run(options)
        except SedicError as error:
            print(str(error).replace("\n", " "), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("Interrupted; files that were finished are kept.", file=sys.stderr)
            return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands and their options; defaults come from where they are used."""
    top = argparse.ArgumentParser(prog="sedic", description="Pictures as files of about a thousand bytes.")
    top.add_argument("--version", action="version", version=__version__)
    kinds = top.add_subparsers(required=True, metavar="COMMAND")

    encode = kinds.add_parser("encode", help="picture to .sedic")
    encode.add_argument("image", type=Path)
    encode.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.sedic")
    words = encode.add_mutually_exclusive_group()
    words.add_argument("--semantics", type=Path, metavar="S.json", help="words, and paths of masks beside the file")
    words.add_argument("--endpoint", metavar="PROFILE", help="ask a vision-language model, see README, Words")
    encode.add_argument("--ask-again", action="store_true", help="even where the same was asked before")
    encode.add_argument(
        "--preset", choices=PRESETS, default="high", help="limits of the paper's operating points; default: %(default)s"
    )
    for option, metavar in (
        ("--objects", "J"),
        ("--name-words", "N"),
        ("--detail-words", "N"),
        ("--overall-words", "N"),
    ):
        name = option.strip("-").replace("-", "_")
        defaults = ", ".join(f"{preset} {getattr(limits, name)}" for preset, limits in PRESETS.items())
        encode.add_argument(option, type=int, metavar=metavar, help=f"default: the preset's ({defaults})")
    encode.add_argument("--reference", default=DEFAULT_CODEC, metavar="NAME[:QUALITY]", help="default: %(default)s")
    encode.add_argument("--target-bpp", type=float, metavar="B", help="bits per pixel: leaves out what does not fit")
    encode.add_argument(
        "--mask-cell", type=int, metavar="PIXELS", help="of the masks' grid; default: what its bits are worth"
    )
    encode.add_argument("--smooth-masks", action="store_true", help="flip cells at their edges where that saves bits")
    encode.add_argument("--detector", type=Path, metavar="PATH", help="Grounding DINO, for objects without a mask")
    encode.add_argument("--segmenter", type=Path, metavar="PATH", help="SAM; without it boxes are cut by GrabCut")
    encode.add_argument(
        "--box-threshold", type=float, default=BOX_THRESHOLD, metavar="S", help="of the detector; default: %(default)s"
    )
    encode.add_argument(
        "--text-threshold",
        type=float,
        default=TEXT_THRESHOLD,
        metavar="S",
        help="of the detector; default: %(default)s",
    )
    encode.add_argument(
        "--several",
        choices=SEVERAL,
        default=SEVERAL[0],
        help="boxes of one name: all, or the best; default: %(default)s",
    )
    encode.add_argument("--device", default="cpu", help="of local models, as PyTorch names it; default: %(default)s")
    encode.add_argument("--weights", type=Path, metavar="DIR", help="weights of reference codecs that need any")
    encode.set_defaults(run=commands.encode)

    decode = kinds.add_parser("decode", help=".sedic to picture")
    decode.add_argument("file", type=Path)
    decode.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png")
    decode.add_argument("--stages", type=Path, metavar="DIR", help="also write the picture after each stage there")
    decode.add_argument("--until", choices=("reference", "object", "final"), default="final")
    add_switches(decode)
    decode.set_defaults(run=commands.decode)

    info = kinds.add_parser("info", help="what a file holds and what each part costs")
    info.add_argument("file", type=Path)
    info.add_argument("--json", action="store_true")
    info.set_defaults(run=commands.info)

    unpack = kinds.add_parser("unpack", help="reference, words and masks as ordinary files")
    unpack.add_argument("file", type=Path)
    unpack.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    unpack.add_argument("--weights", type=Path, metavar="DIR", help="weights of reference codecs that need any")
    unpack.set_defaults(run=commands.unpack)

    compare = kinds.add_parser("compare", help="PSNR and MS-SSIM of two pictures")
    compare.add_argument("original", type=Path)
    compare.add_argument("decoded", type=Path)
    compare.add_argument("--json", action="store_true")
    compare.set_defaults(run=commands.compare)

    train = kinds.add_parser("train", help="make the shipped weights and tables again")
    train.add_argument(
        "what",
        choices=("text", "trigram", "huffman", "masks", "autoencoder", "diffusion", "adversarial", "reference",
                 "cheng2020"),
    )  # fmt: skip
    train.add_argument("--data", type=Path, required=True, metavar="DIR")
    train.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="a run found there is resumed")
    train.add_argument("--minutes", type=float, metavar="N", help="budget of trainings that run by the clock")
    train.add_argument(
        "--embeddings", type=Path, metavar="DIR", help="text begins with a BERT's: see Config.embeddings"
    )
    train.add_argument(
        "--structure", type=float, metavar="S", help="share of MS-SSIM in what reference is trained for, 0 to 1"
    )
    train.add_argument(
        "--start", type=Path, metavar="FILE", help="weights that cheng2020 begins with: see Config.start"
    )
    train.set_defaults(run=commands.train)

    demo = kinds.add_parser("demo", help="encode and decode the shipped photograph, without ComfyUI")
    demo.add_argument("-o", "--output", type=Path, default=Path("out"), metavar="DIR", help="default: %(default)s")
    demo.set_defaults(run=commands.demo)
    return top
