"""How long a picture's parts take, beside an earlier version: both in turn, in processor seconds."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..demo import PHOTOGRAPH
from ..errors import SedicError
from . import pieces
from .processes import answer

TURNS = 3
LARGE = 2048  # side of the large picture, the small one mirrored at its edges
_HERE = Path(__file__).parents[2]


def measure(image: Path | None = None, beside: Path | None = None, turns: int = TURNS, large: int = LARGE,
            only: list[str] | None = None) -> None:  # fmt: skip
    """Prints a row for each part: median processor seconds, and their ratio to those of another checkout.

    Args:
        image: with NAME.json beside it; None: the demo's.
        beside: the root of another checkout of this repository; its turns alternate with this one's.
        turns: how often each part is timed.
        large: side in pixels of the large picture; 0: none.
        only: rows, by the names that are printed; None: all.

    Raises:
        SedicError: a picture, its words or another checkout that cannot be used.
    """
    image, beside = (image or PHOTOGRAPH).resolve(), beside and beside.resolve()
    words = image.with_name("semantics.json") if image == PHOTOGRAPH else image.with_suffix(".json")
    versions = {"now": _HERE} if beside is None else {"before": beside, "now": _HERE}
    if beside is not None and not (beside / "sedic" / "codec.py").is_file():
        raise SedicError(f"{beside} is no checkout of this repository; name the folder that holds sedic/.")
    with tempfile.TemporaryDirectory() as folder:
        # The earlier version writes the files that are read, as it may not know what later ones write.
        parts = {name: part for name, part in _parts(image, words, Path(folder), large, beside or _HERE).items()
                 if only is None or name in only}  # fmt: skip
        found: dict[str, dict[str, list[float]]] = {part: {name: [] for name in versions} for part in parts}
        for _ in range(turns):
            for part, arguments in parts.items():
                for name, root in versions.items():
                    found[part][name].append(_seconds(root, arguments))
    print(f"{image.name}, processor seconds of all threads, medians of {turns}")
    print(f"| part | {' | '.join(versions)} |{' ratio |' * (len(versions) - 1)}")
    print("|---" * (2 * len(versions)) + "|")
    for part, each in found.items():
        middle = [statistics.median(seconds) for seconds in each.values()]
        ratio = f" {middle[-1] / middle[0]:.2f} |" * (len(versions) - 1)
        print(f"| {part} | {' | '.join(f'{seconds:.2f}' for seconds in middle)} |{ratio}")


def _parts(image: Path, words: Path, folder: Path, large: int, writer: Path) -> Mapping[str, list[str]]:
    """What is timed: a function of :mod:`.pieces` and its arguments; lets a checkout write the files that they read."""
    import numpy as np

    from ..picture import read_picture, write_picture

    pixels = read_picture(image)
    file, written = folder / "a.sedic", [str(words), str(pixels.shape[1]), str(pixels.shape[0])]
    _seconds(writer, ["encode", str(image), str(words), str(file)])
    parts = {
        "sedic decode": ["command", "decode", str(file), "-o", str(folder / "a.png")],
        "sedic info": ["command", "info", str(file)],
        "a second decode": ["second_decode", str(file)],
        "masks written": ["masks", *written],
        "words written": ["words", *written],
        "words and masks read": ["content", str(file)],
        "reference written": ["reference", str(image)],
    }
    if not large:
        return parts
    picture, coded = folder / "large.png", folder / "large.sedic"
    spare = [(0, max(0, large - side)) for side in pixels.shape[:2]]
    write_picture(picture, np.pad(pixels, [*spare, (0, 0)], mode="symmetric")[:large, :large])
    _seconds(writer, ["encode", str(picture), "A photograph.", str(coded)])
    return parts | {
        f"encode, {large}×{large}": ["encode", str(picture), "A photograph.", str(folder / "b.sedic")],
        f"sedic decode --until reference, {large}×{large}": [
            "command", "decode", str(coded), "-o", str(folder / "b.png"), "--until", "reference",
        ],
    }  # fmt: skip


def _seconds(root: Path, arguments: list[str]) -> float:
    source = Path(pieces.__file__).read_text(encoding="utf-8")
    failed = f"{' '.join(arguments[:2])} could not be timed in {root}"
    return float(answer([source, *arguments], {"PYTHONPATH": str(root)}, failed, folder=root))
