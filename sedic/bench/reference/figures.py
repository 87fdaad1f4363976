"""The rate-distortion plot, and pictures beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import SedicError
from ...metrics.sheet import contact_sheet, save_jpeg
from ...picture import read_picture
from . import tables
from .points import TARGET, TARGETS, Point, Task

SHOWN = ("kodim04", "kodim15", "kodim19", "kodim22")
"""Preferred on the sheet, where they are among the pictures: a portrait, a face, a building, a scene."""
_PANEL = 384  # pixels


def plot(curves: tables.Curves, title: str, to: Path) -> None:
    """PSNR and MS-SSIM over the rate, a line a codec, as a PNG.

    Raises:
        SedicError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SedicError(f'The plot is drawn by matplotlib ({error}): pip install "sedic[bench]".') from error
    figure = Figure((10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (name, points) in enumerate(curves.items()):
        means = [average for target in sorted(TARGETS) if (average := tables.mean(points[target])) is not None]
        style = {"marker": "o", "markersize": 4, "linewidth": 2.4 if number == 0 else 1.4, "label": name}
        left.plot([m.bpp for m in means], [m.psnr for m in means], **style)
        right.plot([m.bpp for m in means], [m.ms_ssim for m in means], **style)
    for axes, label in ((left, "PSNR, dB"), (right, "MS-SSIM")):
        axes.set_xlabel("bits per pixel of the reference")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to, dpi=90)
    with Image.open(to) as drawn:
        few = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(to, optimize=True)  # a third of the bytes


def sheet(own: str, rival: str, found: Sequence[tuple[Task, Point, Task, Point]], to: Path) -> None:
    """A row a picture: the original, our codec's and the best ordinary one's at the middle target, as a JPEG.

    Args:
        own, rival: the codecs' names.
        found: of each picture both results, in the order of rows.
        to: the file.
    """
    panels: list[tuple[str, Image.Image | np.ndarray]] = []
    for task, point, other_task, other in found:
        original = Image.fromarray(read_picture(task.picture))
        panels.append((f"{task.picture.stem}\n{original.width}×{original.height}", _shown(original)))
        for name, each, result in ((own, task, point), (rival, other_task, other)):
            label = f"{name}, {result.bytes} bytes\n{result.psnr:.2f} dB, MS-SSIM {result.ms_ssim:.4f}"
            panels.append((label, _shown(Image.fromarray(read_picture(each.decoded)))))
    title = f"References of {TARGET / 1000:g} bit per pixel: {own} and the best ordinary codec"
    save_jpeg(contact_sheet(panels, 3, title, panel_width=_PANEL), to)


def _shown(picture: Image.Image) -> Image.Image:
    """The middle of a picture, 3:2, so that upright ones fit into the rows."""
    width, height = picture.size
    tall = min(height, width * 2 // 3)
    top = (height - tall) // 2
    return picture.crop((0, top, width, top + tall))


def chosen(stems: Sequence[str], count: int = 4) -> list[str]:
    """Which pictures the sheet shows: the preferred ones, then the others in their order."""
    preferred = [stem for stem in SHOWN if stem in stems]
    return [*preferred, *(stem for stem in stems if stem not in preferred)][:count]
