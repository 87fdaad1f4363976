"""``sedic encode``: a picture, with words and masks, to a file."""

from __future__ import annotations

import argparse
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import threads
from ..bitstream import SedicFile, mask
from ..errors import SedicError
from ..reference.registry import DEFAULT_CODEC
from ..semantics import PRESETS, Limits, Semantics
from ..understanding.masks.locate import BOX_THRESHOLD, SEVERAL, TEXT_THRESHOLD
from . import files, folders
from .bars import Bars
from .contents import description
from .speech import Speech

LIMITS = ("objects", "name_words", "detail_words", "overall_words")


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers; defaults come from where they are used."""
    command = kinds.add_parser("encode", help="picture to .sedic")
    command.add_argument(
        "image", type=files.name, nargs="+", help="a picture, or - for standard input; or several, folders, patterns"
    )
    command.add_argument(
        "-o", "--output", type=files.name, required=True, metavar="OUT.sedic",
        help="- is standard output; of several pictures a folder",
    )  # fmt: skip
    command.add_argument(
        "--force", action="store_true",
        help="replace an output that exists and is no .sedic file; in a folder, that no earlier run wrote",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="one JSON object instead of a line")
    folders.add_switches(command)
    words = command.add_mutually_exclusive_group()
    words.add_argument(
        "--words", action="append", metavar="TEXT",
        help='"name: detail" of an object, or "overall: text" of the whole; once for each',
    )  # fmt: skip
    words.add_argument(
        "--words-file", type=files.name, metavar="FILE", help="the same, a line each; - is standard input"
    )
    words.add_argument(
        "--semantics", type=files.where, metavar="S.json",
        help="words, and paths of masks beside the file; of several pictures the folder of their NAME.json",
    )  # fmt: skip
    words.add_argument("--endpoint", metavar="PROFILE", help="ask a vision-language model, see README, Words")
    words.add_argument(
        "--auto", action="store_true", help="words and masks by the embedded eyes: what they are sure of"
    )
    command.add_argument("--ask-again", action="store_true", help="even where the same was asked before")
    command.add_argument(
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
        command.add_argument(option, type=int, metavar=metavar, help=f"default: the preset's ({defaults})")
    command.add_argument("--reference", default=DEFAULT_CODEC, metavar="NAME[:QUALITY]", help="default: %(default)s")
    command.add_argument("--target-bpp", type=float, metavar="B", help="bits per pixel: leaves out what does not fit")
    command.add_argument(
        "--mask-cell", type=int, metavar="PIXELS", help="of the masks' grid; default: what its bits are worth"
    )
    command.add_argument(
        "--smooth-masks",
        action=argparse.BooleanOptionalAction,
        help="flip cells at their edges where it pays; default: on",
    )
    command.add_argument("--detector", type=Path, metavar="PATH", help="Grounding DINO, for objects without a mask")
    command.add_argument("--segmenter", type=Path, metavar="PATH", help="SAM; without it boxes are cut by GrabCut")
    command.add_argument(
        "--box-threshold", type=float, metavar="S", help=f"of the detector, 0 to 1; default: {BOX_THRESHOLD}"
    )
    command.add_argument(
        "--text-threshold", type=float, metavar="S", help=f"of the detector, 0 to 1; default: {TEXT_THRESHOLD}"
    )
    command.add_argument(
        "--several", choices=SEVERAL, help=f"boxes of one name: all, or the best; default: {SEVERAL[0]}"
    )
    command.add_argument(
        "--device", metavar="NAME", help="of local models, as PyTorch names it; default: cpu; a worker for each of a,b"
    )
    command.add_argument("--weights", type=Path, metavar="DIR", help="weights of reference codecs that need any")
    command.set_defaults(run=run, writes_data=True)


def run(options: argparse.Namespace, speech: Speech) -> None:
    """A picture, or several, with words and masks, to files."""
    threads.share()
    from ..batch.encoding import Encoder
    from ..progress import watched_by

    threads.adapt()
    limits = _checked_values(options)
    if folders.several(options.image):
        folders.run(folders.encoding(options, _encoding(options, limits)), options, speech)
        return
    (options.image,) = options.image
    folders.tell_no_use(options)
    _checked(options)
    encoder = Encoder(_encoding(options, limits), options.device or "cpu")
    image = files.read_picture(options.image)
    words = encoder.words(image, options.semantics)
    semantics = encoder.located(image, words)
    with Bars() as bars, watched_by(bars):
        file = encoder.packed(image, semantics)
        data = file.to_bytes()
    _tell_what_had_no_use(options, words, file)
    files.write(options.output, data)
    speech.say(f"{options.output}: {file.size} bytes, {file.bits_per_pixel:.4f} bpp")
    speech.json({"output": str(options.output), **description(file)})


def _encoding(options: argparse.Namespace, limits: Limits) -> Any:
    """The options as the library has them."""
    from ..batch.encoding import Encoding
    from ..understanding.words.endpoints import read_endpoint

    text = None if options.words is None else "\n".join(options.words)
    names = ("reference", "target_bpp", "auto", "ask_again", "detector", "segmenter", "box_threshold",
             "text_threshold", "several", "weights")  # fmt: skip
    return Encoding(
        limits,
        typed=files.read_text(options.words_file) if options.words_file else text,
        endpoint=read_endpoint(options.endpoint) if options.endpoint else None,
        masks=mask.MaskChoice(
            options.mask_cell,
            smooth=mask.MaskChoice.smooth if options.smooth_masks is None else options.smooth_masks,
        ),
        **{name: getattr(options, name) for name in names},
    )


def _checked_values(options: argparse.Namespace) -> Limits:
    """The limits of words; what can be told of the options alone is told here, before any work.

    Raises:
        SedicError: an option out of range, or two that contradict each other.
    """
    from .. import codec

    chosen = {name: getattr(options, name) for name in LIMITS if getattr(options, name) is not None}
    limits = replace(PRESETS[options.preset], **chosen)
    for name in LIMITS:
        if getattr(limits, name) < 0:
            raise SedicError(f"--{name.replace('_', '-')} is {getattr(limits, name)}; it must be 0 or more.")
    if options.mask_cell is not None and options.mask_cell < 1:
        raise SedicError(f"--mask-cell is {options.mask_cell}; it must be 1 or more.")
    for name in ("box_threshold", "text_threshold"):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= 1:
            raise SedicError(f"--{name.replace('_', '-')} is {value}; it must lie between 0 and 1.")
    if options.target_bpp is not None and not options.target_bpp > 0:
        raise SedicError(f"--target-bpp is {options.target_bpp}; it must be above 0, say 0.03.")
    for words in options.words or ():
        if os.path.isfile(words):  # pathlib fails where words are too long for a name
            instead = "--semantics" if words.endswith(".json") else "--words-file"
            raise SedicError(f"--words takes the words themselves, and {words} is a file; name it by {instead}.")
    codec.check_request(options.reference, options.target_bpp, options.weights)
    return limits


def _checked(options: argparse.Namespace) -> None:
    """Told before anybody is asked anything: an output that cannot be written, or a device that is not there.

    Raises:
        SedicError: one of these.
    """
    from .. import codec
    from ..batch.plan import mask_files

    files.require_here(options.semantics)
    files.read_once(options.image, options.words_file)
    inputs = [options.image, options.words_file, options.semantics, *mask_files(options.semantics)]
    files.check_output(options.output, [*inputs, options.detector, options.segmenter], options.force)
    if options.endpoint or options.detector or options.segmenter:
        codec.require_device(options.device or "cpu")


def _tell_what_had_no_use(options: argparse.Namespace, words: Semantics, file: SedicFile) -> None:
    """A note for options that changed nothing."""
    sought = any(o.mask is None for o in words.objects)
    found = bool(options.detector) and sought
    why = "every object has a mask" if words.objects else "there are no objects"
    unless_found = "no --detector is named that finds objects" if not options.detector else why
    masked = any(o.mask is not None for o in file.semantics.objects)
    for used, reason, names in (
        (bool(options.endpoint), "no --endpoint is asked", ["ask_again"]),
        (sought, why, ["detector"]),
        (found, unless_found, ["box_threshold", "text_threshold", "several"]),
        (found or options.auto, unless_found, ["segmenter"]),
        (found or bool(options.endpoint or (options.auto and options.segmenter)), "no model runs here", ["device"]),
        (masked, "no object has a mask", ["mask_cell", "smooth_masks"]),
    ):
        for name in names:
            if getattr(options, name) not in (None, False) and not used:
                warnings.warn(f"--{name.replace('_', '-')} had no use: {reason}.", stacklevel=2)
