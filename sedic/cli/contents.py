"""``sedic info`` and ``sedic unpack``: what a file holds."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

from ..bitstream import SedicFile, mask, text
from ..errors import SedicError
from .files import make_folder


def add(kinds: Any) -> None:
    """Adds the commands to an argparse parser's subparsers."""
    shown = kinds.add_parser("info", help="what a file holds and what each part costs")
    shown.add_argument("file", type=Path)
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run=info)

    unpacked = kinds.add_parser("unpack", help="reference, words and masks as ordinary files")
    unpacked.add_argument("file", type=Path)
    unpacked.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
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
    from .. import codec
    from ..picture import write_picture

    file = SedicFile.read(options.file)
    make_folder(options.output)
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
