"""``sedic encode``: a picture, with words and masks, to a file."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import threads
from ..bitstream import mask
from ..errors import SedicError
from ..reference.registry import DEFAULT_CODEC
from ..semantics import PRESETS, Limits, Semantics
from ..understanding.masks.locate import BOX_THRESHOLD, SEVERAL, TEXT_THRESHOLD


def add(kinds: Any) -> None:
    """Adds the command to an argparse parser's subparsers; defaults come from where they are used."""
    command = kinds.add_parser("encode", help="picture to .sedic")
    command.add_argument("image", type=Path)
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.sedic")
    words = command.add_mutually_exclusive_group()
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
        "--box-threshold", type=float, default=BOX_THRESHOLD, metavar="S", help="of the detector; default: %(default)s"
    )
    command.add_argument(
        "--text-threshold",
        type=float,
        default=TEXT_THRESHOLD,
        metavar="S",
        help="of the detector; default: %(default)s",
    )
    command.add_argument(
        "--several",
        choices=SEVERAL,
        default=SEVERAL[0],
        help="boxes of one name: all, or the best; default: %(default)s",
    )
    command.add_argument("--device", default="cpu", help="of local models, as PyTorch names it; default: %(default)s")
    command.add_argument("--weights", type=Path, metavar="DIR", help="weights of reference codecs that need any")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """A picture, with words and masks, to a file."""
    threads.share()
    from .. import codec
    from ..picture import read_picture

    threads.adapt()
    image = read_picture(options.image)
    size = image.shape[1], image.shape[0]
    names = ("objects", "name_words", "detail_words", "overall_words")
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    limits = replace(PRESETS[options.preset], **chosen)
    for name in names:
        if getattr(limits, name) < 0:
            raise SedicError(f"--{name.replace('_', '-')} is {getattr(limits, name)}; it must be 0 or more.")
    if options.endpoint or options.detector:
        codec.require_device(options.device)
    semantics = Semantics()
    if options.semantics:
        semantics = Semantics.read(options.semantics, size).limited(limits)
    elif options.endpoint:
        from ..understanding.words.endpoints import read_endpoint
        from ..understanding.words.memory import AnswerCache
        from ..understanding.words.textualize import provider_of, textualize

        provider = provider_of(read_endpoint(options.endpoint), options.device)
        semantics = textualize(image, provider, limits, memory=AnswerCache(ask_again=options.ask_again))
    elif options.auto:
        semantics = _seen(image, limits, options)
    semantics = _located(image, semantics, options)
    if options.mask_cell is not None and options.mask_cell < 1:
        raise SedicError(f"--mask-cell is {options.mask_cell}; it must be 1 or more.")
    file = codec.encode(
        image,
        semantics,
        options.reference,
        limits,
        options.target_bpp,
        models=options.weights,
        masks=mask.MaskChoice(cell=options.mask_cell, smooth=options.smooth_masks),
    )
    file.write(options.output)
    print(f"{options.output}: {file.size} bytes, {file.bits_per_pixel:.4f} bpp")


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
    if options.detector:
        from ..understanding.masks.grounding import load_detector
        from ..understanding.masks.locate import locate
        from ..understanding.masks.segment import load_segmenter

        detector = load_detector(options.detector)
        segmenter = load_segmenter(options.segmenter) if options.segmenter else None
        detector.model.to(options.device)
        if segmenter:
            segmenter.model.to(options.device)
        found = locate(
            image,
            semantics,
            detector,
            segmenter,
            box_threshold=options.box_threshold,
            text_threshold=options.text_threshold,
            several=options.several,
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
