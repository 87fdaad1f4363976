"""What all masks of a picture cost: the file's coders beside those that the world has, on the same grid of cells."""

from __future__ import annotations

import io
import shutil
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import STRIPBYTECOUNTS

from ..bitstream.coder import Decoder, Encoder
from ..bitstream.mask import CODERS, MaskChoice
from ..bitstream.mask.grid import cell_size, from_grid, to_grid
from ..errors import SedicError
from ..semantics import Semantics, disjoint

JBIG_HEADER = 20  # bytes
NOTE = (
    "Cells of 8×8 pixels where nothing else is said. The last four rows code a picture's grids one below the other in\n"
    "one image: G4 without TIFF's container, JBIG1 without its header of 20 bytes, PNG and WebP whole files. IoU is\n"
    "the mean, and the least, over all objects, with the masks of full size."
)


class MissingToolError(SedicError):
    """A program that a row needs is not installed."""


def measure(folder: Path) -> None:
    """Prints a row for each coder: bytes of a picture's masks, and how close they come back.

    Args:
        folder: pictures' NAME.json with masks beside them.

    Raises:
        SedicError: no such pictures.
    """
    pictures = read_masks(folder)
    objects = sum(map(len, pictures)) / len(pictures)
    print(f"masks of {len(pictures)} pictures, {objects:.1f} objects each; bytes for all of a picture's masks")
    print(f"{'coder':<34}{'mean':>8}{'least':>7}{'most':>7}{'IoU':>8}{'least':>8}")
    unflipped, fixed = MaskChoice(smooth=False), MaskChoice(cell=8, smooth=False)
    rows: list[tuple[str, Callable[[list[np.ndarray]], tuple[int, list[float]]]]] = [
        ("neural, cells by price (default)", lambda masks: coded(masks, "neural")),
        ("neural, likewise, none flipped", lambda masks: coded(masks, "neural", unflipped)),
        ("neural, none flipped", lambda masks: coded(masks, "neural", fixed)),
        ("tree", lambda masks: coded(masks, "tree")),
        ("jbig: ten-cell context", lambda masks: coded(masks, "jbig")),
        ("runs: run lengths", lambda masks: coded(masks, "runs")),
        ("JBIG1 (pbmtojbg)", lambda masks: pictured(masks, jbig1)),
        ("CCITT G4 (libtiff)", lambda masks: pictured(masks, group4)),
        ("PNG (optimised)", lambda masks: pictured(masks, lambda image: saved(image, "PNG", optimize=True))),
        (
            "WebP lossless",
            lambda masks: pictured(masks, lambda image: saved(image, "WEBP", lossless=True, quality=100, method=6)),
        ),
    ]
    for name, code in rows:
        try:
            results = [code(masks) for masks in pictures]
        except MissingToolError as error:
            print(f"{name:<34}  skipped: {error}")
            continue
        sizes = [size for size, _ in results]
        overlaps = [overlap for _, each in results for overlap in each]
        print(
            f"{name:<34}{statistics.fmean(sizes):>8.1f}{min(sizes):>7}{max(sizes):>7}"
            f"{statistics.fmean(overlaps):>8.3f}{min(overlaps):>8.3f}",
            flush=True,
        )
    print(NOTE)


def read_masks(folder: Path) -> list[list[np.ndarray]]:
    """The disjoint masks, (height, width) bool, of each picture that has any.

    Raises:
        SedicError: there is none.
    """
    objects = [disjoint(Semantics.read(path).objects) for path in sorted(folder.glob("*.json"))]
    pictures = [[o.mask for o in each if o.mask is not None] for each in objects]
    pictures = [masks for masks in pictures if masks]
    if not pictures:
        raise SedicError(f"{folder} holds no NAME.json with masks beside it; name another folder.")
    return pictures


def coded(masks: Sequence[np.ndarray], name: str, choice: MaskChoice = MaskChoice()) -> tuple[int, list[float]]:
    """Bytes by a coder of the file, and each decoded mask's intersection over union with the original."""
    id, (height, width) = CODERS.id_of(name), masks[0].shape
    encoder, writer, reader = Encoder(), CODERS.make(id, width, height), CODERS.make(id, width, height)
    writer.prepare(masks, choice)
    for mask in masks:
        writer.write(encoder, mask)
    data = encoder.finish()
    decoder = Decoder(data)
    return len(data), [overlap(mask, reader.picture(reader.read(decoder))) for mask in masks]


def pictured(masks: Sequence[np.ndarray], size_of: Callable[[Image.Image], int]) -> tuple[int, list[float]]:
    """As :func:`coded`, by a coder of pictures that sees the grids one below the other."""
    height, width = masks[0].shape
    cell = cell_size(width, height)
    taken, grids = np.zeros_like(to_grid(masks[0], cell)), []
    for mask in masks:
        grids.append(to_grid(mask, cell) & ~taken)
        taken = taken | grids[-1]
    size = size_of(Image.fromarray(np.concatenate(grids)))
    return size, [overlap(m, from_grid(g, cell, width, height)) for m, g in zip(masks, grids, strict=True)]


def overlap(mask: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks, at least one of which is not empty."""
    return float((mask & other).sum() / (mask | other).sum())


def saved(image: Image.Image, format: str, **options: object) -> int:
    """Bytes of the whole file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.tell()


def group4(image: Image.Image) -> int:
    """Bytes of the coded strips of a TIFF, without its header and tags."""
    file = io.BytesIO()
    image.save(file, "TIFF", compression="group4")
    file.seek(0)
    with Image.open(file) as tiff:
        return sum(tiff.tag_v2[STRIPBYTECOUNTS])  # type: ignore[attr-defined]


def jbig1(image: Image.Image) -> int:
    """Bytes of jbigkit's best single layer, without the header.

    Raises:
        MissingToolError: ``pbmtojbg`` is not installed.
    """
    program = shutil.which("pbmtojbg")
    if program is None:
        raise MissingToolError("pbmtojbg is not installed; apt install jbigkit-bin.")
    file = io.BytesIO()
    image.save(file, "PPM")
    done = subprocess.run([program, "-q", "-"], input=file.getvalue(), capture_output=True, check=True)
    return len(done.stdout) - JBIG_HEADER
