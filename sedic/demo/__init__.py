"""The photograph that the demo encodes: ``coffee.png``, with its words and masks in ``semantics.json``.

An espresso cup, a saucer and a teaspoon, 600×400, by Rachel Michetti, courtesy of Pikolo Espresso Bar; dedicated
to the public domain (CC0). It is the unaltered ``skimage.data.coffee`` of scikit-image, whose documentation states
the licence: https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.coffee

The words were written and the masks ``coffee_cup.png``, ``coffee_saucer.png`` and ``coffee_spoon.png`` drawn by
hand for this package, under its own licence. The masks do not overlap. ``coffee.sedic`` is what the shipped graph makes
of it all.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

PHOTOGRAPH = Path(__file__).with_name("coffee.png")
SEMANTICS = Path(__file__).with_name("semantics.json")
FILE = Path(__file__).with_name("coffee.sedic")
# What these are called in a folder that others use, too.
PREFIX = "sedic_"
PICTURE_NAME = f"{PREFIX}{PHOTOGRAPH.name}"
FILE_NAME = f"{PREFIX}{FILE.name}"
FOLDER_NAME = f"{PREFIX}folder"
# A folder of pictures of several sizes: parts of the photograph, as (left, top, right, bottom).
PARTS = {"cup": (144, 8, 432, 328), "spoon": (304, 56, 496, 344)}


def mask_names() -> list[str]:
    """What :func:`painted` pictures are called in a folder that others use, in the objects' order."""
    rows = json.loads(SEMANTICS.read_text(encoding="utf-8"))["objects"]
    return [f"{PREFIX}{Path(row['mask']).stem}.webp" for row in rows]


def place(folder: Path) -> list[Path]:
    """Puts the photograph, its painted masks and its file into ``folder``, under names that begin with ``sedic_``.

    What is there stays as it is.

    Returns:
        What was written.

    Raises:
        OSError: ``folder`` takes no files.
    """
    rows = json.loads(SEMANTICS.read_text(encoding="utf-8"))["objects"]
    makers: dict[str, Callable[[], bytes]] = {PICTURE_NAME: PHOTOGRAPH.read_bytes, FILE_NAME: FILE.read_bytes}
    for name, row in zip(mask_names(), rows, strict=True):
        makers[name] = partial(painted, SEMANTICS.with_name(row["mask"]))
    return _written(folder, makers)


def place_folder(folder: Path) -> list[Path]:
    """Puts a folder of the photograph's parts into ``folder``, as :func:`place` does.

    Raises:
        OSError: ``folder`` takes no files.
    """
    inside = folder / FOLDER_NAME
    inside.mkdir(exist_ok=True)
    return _written(inside, {f"{name}.png": partial(part, box) for name, box in PARTS.items()})


def _written(folder: Path, makers: dict[str, Callable[[], bytes]]) -> list[Path]:
    missing = {folder / name: make for name, make in makers.items() if not (folder / name).exists()}
    for path, make in missing.items():
        beside = path.with_name(f"{path.name}.part")
        beside.write_bytes(make())
        beside.replace(path)  # in one step, so that nobody reads half a file
    return [*missing]


def part(box: tuple[int, int, int, int]) -> bytes:
    """A part of the photograph (PNG)."""
    from PIL import Image

    data = io.BytesIO()
    with Image.open(PHOTOGRAPH) as photograph:
        photograph.crop(box).save(data, "PNG")
    return data.getvalue()


def painted(mask: Path) -> bytes:
    """The photograph with ``mask`` as ComfyUI's mask editor writes one: transparent where the object is (WebP)."""
    from PIL import Image, ImageOps

    with Image.open(PHOTOGRAPH) as photograph, Image.open(mask) as white_inside:
        picture = photograph.convert("RGB")
        picture.putalpha(ImageOps.invert(white_inside.convert("L")))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=80, exact=True)  # exact: what is transparent keeps its colours
    return data.getvalue()
