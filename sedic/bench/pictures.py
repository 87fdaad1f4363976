"""What a folder of pictures costs and how close it comes back, picture by picture and in the mean."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from ..bitstream import SedicFile
from ..codec import decode, default_settings, encode, load_models, reference_of, settings_of, to_pixels
from ..evaluation.scenes import described_paths
from ..metrics.bits import spent
from ..metrics.fidelity import ms_ssim, psnr
from ..picture import read_picture
from ..semantics import Semantics

_COLUMNS = (
    "picture", "bytes", "bpp", "header and framing", "reference", "reference %", "words", "masks", "ref dB",
    "ref MS-SSIM", "final dB", "final MS-SSIM", "s",
)  # fmt: skip


def measure(folder: Path, reference: str, decoded: int) -> None:
    """Prints a row for each ``NAME.png`` with a ``NAME.json`` beside it, and their mean.

    Args:
        folder: the pictures.
        reference: ``NAME[:QUALITY]`` of the reference codec.
        decoded: how many of them are restored with the embedded models, too.

    Raises:
        SedicError: no such pictures.
    """
    paths = described_paths(folder)
    models = load_models() if decoded else None
    rows: list[dict[str, float]] = []
    print("".join(f"{column:>{_width(column)}}" for column in _COLUMNS))
    for number, path in enumerate(paths):
        image = read_picture(path)
        semantics = Semantics.read(path.with_suffix(".json"), (image.shape[1], image.shape[0]))
        file = SedicFile.from_bytes(encode(image, semantics, reference).to_bytes())
        row: dict[str, float] = {"bytes": sum(spent(file).values()), "bpp": file.bits_per_pixel, **spent(file)}
        row["reference %"] = 100 * row["reference"] / row["bytes"]
        blurred = reference_of(file).picture()
        row |= {"ref dB": psnr(image, blurred), "ref MS-SSIM": ms_ssim(image, blurred)}
        if models is not None and number < decoded:
            started = time.monotonic()
            *_, final = decode(file, models, settings_of(file, default_settings()))
            restored = to_pixels(final.image)
            row |= {
                "s": time.monotonic() - started,
                "final dB": psnr(image, restored),
                "final MS-SSIM": ms_ssim(image, restored),
            }
        rows.append(row)
        print(f"{path.stem:>9}" + _line(row), flush=True)
    mean = {
        column: statistics.fmean(row[column] for row in rows if column in row)
        for column in _COLUMNS[1:]
        if any(column in row for row in rows)
    }
    print(f"{'mean':>9}" + _line(mean))


def _width(column: str) -> int:
    return max(9, len(column) + 2)


def _line(row: dict[str, float]) -> str:
    digits = {"bpp": 4, "ref MS-SSIM": 3, "final MS-SSIM": 3, "ref dB": 2, "final dB": 2}
    cells = [f"{row[column]:.{digits.get(column, 0)}f}" if column in row else "" for column in _COLUMNS[1:]]
    return "".join(f"{cell:>{_width(column)}}" for cell, column in zip(cells, _COLUMNS[1:], strict=True))
