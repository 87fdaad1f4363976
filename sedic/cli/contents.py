"""``sedic info`` and ``sedic unpack``: what a file holds."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

from ..bitstream import SedicFile, mask, text
from . import files
from .speech import Speech


def add(kinds: Any) -> None:
    """Adds the commands to an argparse parser's subparsers."""
    shown = kinds.add_parser("info", help="what a file holds and what each part costs")
    shown.add_argument("file", type=files.name, help="a .sedic file, or - for standard input")
    shown.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    shown.set_defaults(run=info)

    unpacked = kinds.add_parser("unpack", help="reference, words and masks as ordinary files")
    unpacked.add_argument("file", type=files.name, help="a .sedic file, or - for standard input")
    unpacked.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    unpacked.add_argument("--json", action="store_true", help="one JSON object")
    unpacked.add_argument("--weights", type=Path, metavar="DIR", help="weights of reference codecs that need any")
    unpacked.set_defaults(run=unpack)


def description(file: SedicFile) -> dict[str, Any]:
    """What ``sedic info --json`` prints; the sections' bytes add up to the file's."""
    from ..reference.registry import codec_by_id

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
        "bytes": file.size,
        "bpp": file.bits_per_pixel,
        "sections": sections,
        "reference": {"codec": codec_by_id(file.codec_id).name, "quality": file.quality},
        "coders": {"text": text.CODERS.names[file.text_coder], "mask": mask.CODERS.names[file.mask_coder]},
        "semantics": json.loads(file.semantics.to_json()),
    }
    if file.missing:
        result |= {"missing": file.missing, "missing_sections": list(file.missing_sections)}
    return result


def info(options: argparse.Namespace, speech: Speech) -> None:
    """Prints what a file holds."""
    facts = description(files.read_sedic(options.file))
    codec = facts["reference"]
    speech.say(f"{facts['width']}×{facts['height']}, {facts['bytes']} bytes, {facts['bpp']:.4f} bpp")
    for section in facts["sections"]:
        split = f"  (words {section['text_bytes']}, mask {section['mask_bytes']})" if "text_bytes" in section else ""
        name = (
            f"{section['name']} {codec['codec']}:{codec['quality']}"
            if section["name"] == "reference"
            else section["name"]
        )
        speech.say(f"  {name:<20}{section['bytes']:>6} bytes{split}")
    if facts["semantics"]["overall"]:
        speech.say(f"  {facts['semantics']['overall']}")
    for row in facts["semantics"]["objects"]:
        speech.say(f"  {row['name']}: {row['detail']}")
    if "missing" in facts:
        for name in facts["missing_sections"]:
            speech.say(f"  {name:<20}missing")
        speech.say(f"  {facts['missing']}")
    speech.json(facts)


def unpack(options: argparse.Namespace, speech: Speech) -> None:
    """Writes a file's parts as ordinary files."""
    from .. import codec, output
    from ..picture import write_picture

    file = files.read_sedic(options.file)
    files.check_folder(options.output)
    masks = [o.mask for o in file.semantics.objects]
    names = [None if m is None else f"object{j}.png" for j, m in enumerate(masks, 1)]
    reference, words = options.output / "reference.png", options.output / "semantics.json"
    drawn = [(options.output / n, m) for n, m in zip(names, masks, strict=True) if n is not None and m is not None]
    written = [reference, words, *(path for path, _ in drawn)]
    if options.output.is_dir():
        for path in written:
            files.check_output(path, [options.file], hides=True)
    output.make_folder(options.output)
    try:
        write_picture(reference, codec.reference_of(file).picture(options.weights))
    finally:
        # A reference that cannot be decoded here takes nothing from the words and masks.
        for path, pixels in drawn:
            write_picture(path, pixels.astype("uint8") * 255)
        output.write(words, (file.semantics.to_json(names) + "\n").encode())
    if file.missing:
        warnings.warn(file.missing, stacklevel=2)
    speech.json({"files": [str(path) for path in written], "missing_sections": list(file.missing_sections)})
