"""What the commands of ``cli`` do; each takes the parsed options and raises SedicError for what a person can mend."""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from .bitstream import SedicFile, mask, text
from .errors import SedicError
from .semantics import PRESETS, Semantics
from .switches import settings_from


def encode(options: argparse.Namespace) -> None:
    """A picture, with words and masks, to a file."""
    from . import codec
    from .picture import read_picture

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
        from .understanding.endpoints import read_endpoint
        from .understanding.memory import AnswerCache
        from .understanding.textualize import provider_of, textualize

        provider = provider_of(read_endpoint(options.endpoint), options.device)
        semantics = textualize(image, provider, limits, memory=AnswerCache(ask_again=options.ask_again))
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
    print(f"{options.output}: {_size(file)} bytes, {file.bits_per_pixel:.4f} bpp")


def _located(image: Any, semantics: Semantics, options: argparse.Namespace) -> Semantics:
    """Masks for the objects that have none, where a detector was named; otherwise a note for each of them."""
    if options.detector:
        from .understanding.grounding import load_detector
        from .understanding.locate import locate
        from .understanding.segment import load_segmenter

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


def decode(options: argparse.Namespace) -> None:
    """A file to a picture, stage by stage."""
    from . import codec
    from .picture import write_picture

    file = SedicFile.read(options.file)
    if file.missing:
        warnings.warn(file.missing, stacklevel=2)
    settings = codec.settings_of(file, codec.default_settings(options.models))
    settings = settings_from(options, settings)
    picture = codec.reference_of(file).picture(options.weights)
    if options.stages:
        _folder(options.stages)
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
        started = time.monotonic()


def _progress(name: str) -> Any:
    from tqdm import tqdm

    bar = tqdm(desc=name, unit="step", leave=False, disable=None)  # only where someone watches

    def tell(step: int, denoised: Any, x: Any) -> None:
        bar.update(step + 1 - bar.n)  # a stage that is run again begins anew

    return tell


def description(file: SedicFile) -> dict[str, Any]:
    """What ``sedic info --json`` prints; the sections' bytes add up to the file's."""
    from .reference.registry import codec_by_id

    sections = []
    for section in file.sections:
        row: dict[str, Any] = {"name": section.name, "bytes": section.bytes}
        if section.name.startswith("object"):
            row |= {"text_bytes": section.text_bytes, "mask_bytes": section.mask_bytes}
        sections.append(row)
    result = {
        "format": "SEDIC 1",
        "width": file.width,
        "height": file.height,
        "bytes": _size(file),
        "bpp": file.bits_per_pixel,
        "sections": sections,
        "reference": {"codec": codec_by_id(file.codec_id).name, "quality": file.quality},
        "coders": {"text": text.CODERS.names[file.text_coder], "mask": mask.CODERS.names[file.mask_coder]},
        "semantics": json.loads(file.semantics.to_json()),
    }
    if file.missing:
        result |= {"missing": file.missing, "missing_sections": list(file.missing_sections)}
    return result


def _size(file: SedicFile) -> int:
    return sum(section.bytes for section in file.sections)


def info(options: argparse.Namespace) -> None:
    """Prints what a file holds."""
    facts = description(SedicFile.read(options.file))
    if options.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    codec = facts["reference"]
    print(f"{facts['width']}×{facts['height']}, {facts['bytes']} bytes, {facts['bpp']:.4f} bpp")
    for section in facts["sections"]:
        split = f"  (words {section['text_bytes']}, mask {section['mask_bytes']})" if "text_bytes" in section else ""
        name = (
            f"{section['name']} {codec['codec']}:{codec['quality']}"
            if section["name"] == "reference"
            else section["name"]
        )
        print(f"  {name:<20}{section['bytes']:>6} bytes{split}")
    if facts["semantics"]["overall"]:
        print(f"  {facts['semantics']['overall']}")
    for row in facts["semantics"]["objects"]:
        print(f"  {row['name']}: {row['detail']}")
    if "missing" in facts:
        for name in facts["missing_sections"]:
            print(f"  {name:<20}missing")
        print(f"  {facts['missing']}")


def unpack(options: argparse.Namespace) -> None:
    """Writes a file's parts as ordinary files."""
    from . import codec
    from .picture import write_picture

    file = SedicFile.read(options.file)
    _folder(options.output)
    try:
        write_picture(options.output / "reference.png", codec.reference_of(file).picture(options.weights))
    finally:
        # A reference that cannot be decoded here takes nothing from the words and masks.
        names: list[str | None] = []
        for j, o in enumerate(file.semantics.objects, 1):
            names.append(None if o.mask is None else f"object{j}.png")
            if o.mask is not None:
                write_picture(options.output / f"object{j}.png", o.mask.astype("uint8") * 255)
        path = options.output / "semantics.json"
        try:
            path.write_text(file.semantics.to_json(names) + "\n", encoding="utf-8")
        except OSError as error:
            raise SedicError(f"{path} cannot be written ({error}); name a writable folder.") from error
    if file.missing:
        warnings.warn(file.missing, stacklevel=2)


def compare(options: argparse.Namespace) -> None:
    """Prints how close two pictures are."""
    from .metrics.fidelity import fidelity
    from .picture import read_picture

    figures = fidelity(read_picture(options.original), read_picture(options.decoded))
    if options.json:
        print(json.dumps(figures))
        return
    structure = "MS-SSIM needs larger pictures" if figures["ms_ssim"] is None else f"MS-SSIM {figures['ms_ssim']:.4f}"
    noise = "The pictures are equal" if figures["psnr"] is None else f"PSNR {figures['psnr']:.2f} dB"
    print(f"{noise}, {structure}")


def train(options: argparse.Namespace) -> None:
    """Makes shipped weights or tables again."""
    import importlib

    try:
        module = importlib.import_module(f".training.{options.what}", __package__)
    except ModuleNotFoundError as error:
        raise SedicError(f"Training needs {error.name}; install it: pip install 'sedic[train]'.") from error
    try:
        if options.what in ("trigram", "huffman", "masks"):
            module.train(options.data, options.output)
        else:
            chosen = {name: getattr(options, name) for name in ("minutes", "embeddings", "structure", "start")}
            chosen = {name: value for name, value in chosen.items() if value is not None}
            try:
                config = module.Config(**chosen)
            except TypeError as error:
                raise SedicError(
                    "--embeddings is for text, --structure for reference and --start for cheng2020 only; leave it out."
                ) from error
            module.train(options.data, options.output, config)
    except FileNotFoundError as error:
        raise SedicError(f"{error}; --data takes the folder that training reads.") from error


def demo(options: argparse.Namespace) -> None:
    """Encodes, shows, decodes and compares the shipped photograph."""
    from .cli import parser
    from .demo import PHOTOGRAPH, SEMANTICS

    _folder(options.output)
    file = options.output / f"{PHOTOGRAPH.stem}.sedic"
    steps = [
        ["encode", str(PHOTOGRAPH), "--semantics", str(SEMANTICS), "-o", str(file)],
        ["info", str(file)],
        ["decode", str(file), "-o", str(options.output / "final.png"), "--stages", str(options.output)],
        ["compare", str(PHOTOGRAPH), str(options.output / "final.png")],
    ]
    for step in steps:
        print("sedic " + " ".join(step))
        chosen = parser().parse_args(step)
        chosen.run(chosen)


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SedicError(f"The folder {path} cannot be made ({error}); name another.") from error
