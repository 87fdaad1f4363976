"""Proof that a file is the same on every machine: files of 26 photographs, and what each must decode to.

``files/*.sedic`` are the 16 Kodak pictures and 10 crops of CLIC 2025 that the measurements use, with their words and
masks: Kodak's by the codec ``compact-1`` and an older coder of words, CLIC's by what is the default now. ``table.json``
has their bytes, their sections, and the hashes of their words, masks and the reference's whole numbers, as another
machine read them. ``sedic verify`` reads all of them again; with ``--write`` it writes them again, too. Pixels are not
in the table: a decoder's floats may differ in the last bit.

``python -m sedic.proof`` makes the table anew, after new files.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..bitstream import SedicFile
from ..errors import SedicError
from ..hashes import sha256
from ..progress import track
from ..reference.registry import codec_by_id

FILES = Path(__file__).with_name("files")
TABLE = Path(__file__).with_name("table.json")


class Checked(NamedTuple):
    """One file, read here.

    Attributes:
        name: of the file.
        bytes: its length.
        differs: what is not as the table says, each in a phrase; empty where all is the same.
    """

    name: str
    bytes: int
    differs: list[str]


def check(files: Path = FILES, table: Path = TABLE, write: bool = False, every: int = 1) -> Iterator[Checked]:
    """Reads every file of the table, and compares.

    Args:
        files: the folder.
        table: what they must decode to.
        write: whether each is also written again, which takes twice as long as reading.
        every: file is taken, or one in so many.

    Raises:
        SedicError: the table is missing.
    """
    try:
        rows = json.loads(table.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SedicError(f"The table {table} cannot be read ({error}); install sedic again.") from error
    for name, row in track(list(rows.items())[::every], "files"):
        try:
            data = (files / name).read_bytes()
            differs = [] if sha256(data) == row["sha256"] else ["its bytes, as the file was damaged on the way"]
            found = facts(data)
            differs += [_said(key, row[key], found[key]) for key in row if key != "sha256" and row[key] != found[key]]
            # The words and masks chosen again under the same probabilities: a sender here writes the same file.
            if write and not differs and dataclasses.replace(SedicFile.from_bytes(data)).to_bytes() != data:
                differs.append("the bytes that it is written with again")
        except (OSError, SedicError) as error:
            data, differs = b"", [f"all of it: {error}"]
        yield Checked(name, len(data), differs)


def facts(data: bytes) -> dict[str, Any]:
    """What the table has of a file; hashes are SHA-256, of whole numbers as little-endian 32-bit ones."""
    file = SedicFile.from_bytes(data)
    codec: Any = codec_by_id(file.codec_id)
    symbols = codec.symbols(file.reference, (file.width, file.height), file.quality)
    masks = [None if o.mask is None else sha256(np.packbits(o.mask).tobytes()) for o in file.semantics.objects]
    return {
        "sha256": sha256(data),
        "width": file.width,
        "height": file.height,
        "sections": {section.name: section.bytes for section in file.sections},
        "weights": file.fingerprint.hex(),
        "reference": sha256(b"".join(part.astype("<i4").tobytes() for part in symbols)),
        "words": sha256(file.semantics.to_json().encode()),
        "masks": masks,
    }


def machine() -> str:
    """Where this runs, for whoever tells of it."""
    import torch

    parts = [platform.machine(), platform.system(), f"Python {platform.python_version()}"]
    return ", ".join([*parts, f"NumPy {np.__version__}", f"PyTorch {torch.__version__}"])


def write_table(files: Path = FILES, table: Path = TABLE) -> None:
    """Writes the table of the files that are there."""
    rows = {path.name: facts(path.read_bytes()) for path in sorted(files.glob("*.sedic"))}
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    table.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _said(key: str, wanted: Any, found: Any) -> str:
    if key == "reference":
        return "the reference's whole numbers"
    if key == "masks":
        other = [str(j) for j, pair in enumerate(zip(wanted, found, strict=False), 1) if pair[0] != pair[1]]
        return f"the masks of objects {', '.join(other) or 'that are missing'}"
    return f"the {key} ({found} here, {wanted} there)" if key != "words" else "the words"
