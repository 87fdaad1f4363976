"""What a folder of pictures costs and how close it comes back, picture by picture and in the mean."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from ..bitstream import SedicFile
from ..codec import decode, encode, load_models, reference_of, settings_of, to_pixels
from ..errors import SedicError
from ..metrics.fidelity import ms_ssim, psnr
from ..picture import read_picture
from ..restoration.stages import Settings
from ..semantics import Semantics

_COLUMNS = ("picture", "bytes", "bpp", "frame", "ref", "words", "masks", "ref dB", "ref MS", "fin dB", "fin MS", "s")


def measure(folder: Path, reference: str, decoded: int) -> None:
    """Prints a row for each ``NAME.png`` with a ``NAME.json`` beside it, and their mean.

    Args:
        folder: the pictures.
        reference: ``NAME[:QUALITY]`` of the reference codec.
        decoded: how many of them are restored with the embedded models, too.

    Raises:
        SedicError: no such pictures.
    """
    paths = [path for path in sorted(folder.glob("*.png")) if path.with_suffix(".json").is_file()]
    if not paths:
        raise SedicError(f"{folder} holds no NAME.png with a NAME.json beside it; name another folder.")
    models = load_models() if decoded else None
    rows: list[dict[str, float]] = []
    print("".join(f"{column:>9}" for column in _COLUMNS))
    for number, path in enumerate(paths):
        image = read_picture(path)
        semantics = Semantics.read(path.with_suffix(".json"), (image.shape[1], image.shape[0]))
        file = SedicFile.from_bytes(encode(image, semantics, reference).to_bytes())
        row = components(file)
        blurred = reference_of(file).picture()
        row |= {"ref dB": psnr(image, blurred), "ref MS": ms_ssim(image, blurred)}
        if models is not None and number < decoded:
            started = time.monotonic()
            *_, final = decode(file, models, settings_of(file, Settings()))
            restored = to_pixels(final.image)
            row |= {
                "s": time.monotonic() - started,
                "fin dB": psnr(image, restored),
                "fin MS": ms_ssim(image, restored),
            }
        rows.append(row)
        print(f"{path.stem:>9}" + _line(row), flush=True)
    mean = {
        column: statistics.fmean(row[column] for row in rows if column in row)
        for column in _COLUMNS[1:]
        if any(column in row for row in rows)
    }
    print(f"{'mean':>9}" + _line(mean))


def components(file: SedicFile) -> dict[str, float]:
    """Bytes of the header with all framing, of the reference, the words and the masks; they add up to the file's."""
    assert file.reference is not None
    parts = {"bytes": sum(section.bytes for section in file.sections), "bpp": file.bits_per_pixel}
    masks = sum(section.mask_bytes for section in file.sections)
    words = sum(section.text_bytes for section in file.sections)
    frame = parts["bytes"] - len(file.reference) - words - masks
    return parts | {"frame": frame, "ref": len(file.reference), "words": words, "masks": masks}


def _line(row: dict[str, float]) -> str:
    digits = {"bpp": 4, "ref MS": 3, "fin MS": 3, "ref dB": 2, "fin dB": 2}
    return "".join(f"{row[c]:>9.{digits.get(c, 0)}f}" if c in row else f"{'':>9}" for c in _COLUMNS[1:])
