"""``sedic encode``: a picture, with words and masks, to a file."""

from __future__ import annotations

import argparse
import json
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
from . import files
from .bars import Bars
from .contents import description
from .speech import Speech

LIMITS = ("objects", "name_words", "detail_words", "overall_words")


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers; defaults come from where they are used."""
    command = kinds.add_parser("encode", help="picture to .sedic")
    command.add_argument("image", type=files.name, help="a picture, or - for standard input")
    command.add_argument(
        "-o", "--output", type=files.name, required=True, metavar="OUT.sedic", help="- is standard output"
    )
    command.add_argument("--force", action="store_true", help="replace an output that exists and is no .sedic file")
    command.add_argument("--json", action="store_true", help="one JSON object instead of a line")
    words = command.add_mutually_exclusive_group()
    words.add_argument(
        "--words", action="append", metavar="TEXT",
        help='"name: detail" of an object, or "overall: text" of the whole; once for each',
    )  # fmt: skip
    words.add_argument(
        "--words-file", type=files.name, metavar="FILE", help="the same, a line each; - is standard input"
    )
    words.add_argument("--semantics", type=Path, metavar="S.json", help="words, and paths of masks beside the file")
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
    command.add_argument("--smooth-masks", action="store_true", help="flip cells at their edges where that saves bits")
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
    command.add_argument("--device", metavar="NAME", help="of local models, as PyTorch names it; default: cpu")
    command.add_argument("--weights", type=Path, metavar="DIR", help="weights of reference codecs that need any")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, speech: Speech) -> None:
    """A picture, with words and masks, to a file."""
    threads.share()
    from .. import codec
    from ..progress import watched_by

    threads.adapt()
    limits = _checked(options)
    image = files.read_picture(options.image)
    words = _words(image, options, limits)
    semantics = _located(image, words, options)
    with Bars() as bars, watched_by(bars):
        file = codec.encode(
            image,
            semantics,
            options.reference,
            limits,
            options.target_bpp,
            models=options.weights,
            masks=mask.MaskChoice(cell=options.mask_cell, smooth=options.smooth_masks),
        )
        data = file.to_bytes()
    _tell_what_had_no_use(options, words, file)
    files.write(options.output, data)
    speech.say(f"{options.output}: {file.size} bytes, {file.bits_per_pixel:.4f} bpp")
    speech.json({"output": str(options.output), **description(file)})


def _checked(options: argparse.Namespace) -> Limits:
    """The limits of words; all that can be told before the work is told here, before anybody is asked anything.

    Raises:
        SedicError: an option out of range, two that contradict each other, or an output that cannot be written.
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
    codec.check_request(options.reference, options.target_bpp, options.weights)
    files.read_once(options.image, options.words_file)
    inputs = [options.image, options.words_file, options.semantics, *_mask_files(options.semantics)]
    files.check_output(options.output, [*inputs, options.detector, options.segmenter], options.force)
    if options.endpoint or options.detector:
        codec.require_device(options.device or "cpu")
    return limits


def _words(image: Any, options: argparse.Namespace, limits: Limits) -> Semantics:
    """What the picture shows, from wherever the options say."""
    size = image.shape[1], image.shape[0]
    if options.semantics:
        return Semantics.read(options.semantics, size).limited(limits)
    if options.words or options.words_file:
        from ..understanding.words.textualize import typed

        text = "\n".join(options.words) if options.words else files.read_text(options.words_file)
        return typed(text).limited(limits)
    if options.endpoint:
        from ..understanding.words.endpoints import read_endpoint
        from ..understanding.words.memory import AnswerCache
        from ..understanding.words.textualize import provider_of, textualize

        provider = provider_of(read_endpoint(options.endpoint), options.device or "cpu")
        return textualize(image, provider, limits, memory=AnswerCache(ask_again=options.ask_again))
    if options.auto:
        return _seen(image, limits, options)
    return Semantics()


def _seen(image: Any, limits: Limits, options: argparse.Namespace) -> Semantics:
    """What the embedded eyes are sure of; what they found and left out is noted."""
    from ..understanding.embedded.look import look
    from ..understanding.masks.segment import load_segmenter

    seen = look(image, limits, load_segmenter(options.segmenter) if options.segmenter else None)
    for note in seen.notes:
        warnings.warn(note, stacklevel=2)
    return seen.semantics


def _located(image: Any, semantics: Semantics, options: argparse.Namespace) -> Semantics:
    """Masks for the objects that have none, where a detector was named; otherwise a note for each of them."""
    if options.detector and any(o.mask is None for o in semantics.objects):
        from ..understanding.masks.grounding import load_detector
        from ..understanding.masks.locate import locate
        from ..understanding.masks.segment import load_segmenter

        detector = load_detector(options.detector)
        segmenter = load_segmenter(options.segmenter) if options.segmenter else None
        detector.model.to(options.device or "cpu")
        if segmenter:
            segmenter.model.to(options.device or "cpu")
        found = locate(
            image,
            semantics,
            detector,
            segmenter,
            box_threshold=BOX_THRESHOLD if options.box_threshold is None else options.box_threshold,
            text_threshold=TEXT_THRESHOLD if options.text_threshold is None else options.text_threshold,
            several=options.several or SEVERAL[0],
        )
        semantics = found.semantics
        for note in found.notes:
            warnings.warn(note, stacklevel=2)
    for o in semantics.objects:
        if o.mask is None:
            warnings.warn(
                f"{o.name!r} has no mask, so its stage will be skipped; add one, or name a --detector.", stacklevel=2
            )
    return semantics


def _tell_what_had_no_use(options: argparse.Namespace, words: Semantics, file: SedicFile) -> None:
    """A note for options that changed nothing, and for a file without words."""
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
        (found or bool(options.endpoint), "no model runs here", ["device"]),
        (masked, "no object has a mask", ["mask_cell", "smooth_masks"]),
    ):
        for name in names:
            if getattr(options, name) not in (None, False) and not used:
                warnings.warn(f"--{name.replace('_', '-')} had no use: {reason}.", stacklevel=2)
    if not file.semantics.overall and not file.semantics.objects:
        warnings.warn(
            "The file holds no words, so nothing but the reference says what the picture shows; give some with "
            "--words, --words-file, --semantics, --endpoint or --auto.",
            stacklevel=2,
        )


def _mask_files(semantics: Path | None) -> list[Path]:
    """The mask files that a Semantics JSON names; none where it cannot be read, which its reader tells."""
    try:
        rows = json.loads(semantics.read_text(encoding="utf-8-sig"))["objects"] if semantics else []
        return [semantics.parent / row["mask"] for row in rows if row.get("mask")] if semantics else []
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return []
