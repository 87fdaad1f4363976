"""The demo: the shipped photograph through the shipped graph in a real ComfyUI, into ``out/``.

    python run.py demo [PHOTO]

leaves the ``.sedic`` file, the decoded reference, the picture after each object, the final picture and a contact
sheet, and prints where the bits went, how close the result is, and how long each stage took. A PHOTO of your own
takes the shipped one's place, at most 512 pixels long, with words and masks by the embedded eyes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sedic.demo import PHOTOGRAPH
from sedic.errors import SedicError

from . import photo
from .build import PICTURES
from .client import Client, ClientError, Progress, Run
from .comfyui import ROOT, Server
from .encoder import FILE_TITLE
from .errors import HeadlessError
from .graph import read_workflow

if TYPE_CHECKING:
    from PIL.Image import Image

    from sedic.bitstream import SedicFile

GRAPH = ROOT / "headless" / "sedic_full.json"
FILE_NAME = "coffee.sedic"
SHEET_NAME = "contact_sheet.png"
HARDLY = 0.05  # seconds: a node that takes less is no stage


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python run.py demo", description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out", metavar="DIR", help="default: %(default)s")
    parser.add_argument("photo", type=Path, nargs="?", metavar="PHOTO", help="one of your own, with nothing to type")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        original = photo.fitted(options.photo, options.output) if options.photo else PHOTOGRAPH
        file_name = f"{options.photo.stem}.sedic" if options.photo else FILE_NAME
        print("Starting ComfyUI on the CPU", flush=True)
        with Server() as server:
            client = Client(server.url, timeout=120)
            graph = read_workflow(GRAPH)
            if options.photo:
                graph = photo.prepare(client, graph, original)
            print("Running the graph", flush=True)
            run = client.run(graph, show)
            fetch(client, run, options.output, file_name)
        if options.photo:
            print("", *photo.told(run.texts, graph), sep="\n")
        print()
        print("\n".join(summary(options.output, file_name, original)))
    except (SedicError, HeadlessError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{time.monotonic() - start:.0f} s in all; look at {options.output / SHEET_NAME}")
    return 0


def show(progress: Progress) -> None:
    """A line when a stage has ended; where someone watches, its steps as they go."""
    watched = "\r" if sys.stdout.isatty() else ""
    if progress.done:
        if progress.seconds >= HARDLY:
            print(f"{watched}{progress.seconds:7.1f} s  {progress.title}", flush=True)
    elif progress.steps and watched:
        print(f"{watched}{progress.step:4d} / {progress.steps:2d}  {progress.title}", end="", flush=True)


def fetch(client: Client, run: Run, folder: Path, file_name: str = FILE_NAME) -> None:
    """Brings the run's file and pictures into ``folder``.

    Raises:
        ClientError: the graph left one of them out.
    """
    for title, name in {FILE_TITLE: file_name, **PICTURES}.items():
        made = [output for output in run.outputs if output.title == title]
        if not made:
            raise ClientError(f"The graph left no output of its node {title!r}; run `python -m headless.build` again.")
        client.download(made[-1], folder / name)


def summary(folder: Path, file_name: str = FILE_NAME, photograph: Path = PHOTOGRAPH) -> list[str]:
    """Writes the contact sheet of the results in ``folder``; returns the figures, line by line."""
    import numpy as np
    from PIL import Image

    from sedic.bitstream import SedicFile
    from sedic.metrics import contact_sheet, ms_ssim, psnr
    from sedic.metrics.bits import spent

    file = SedicFile.read(folder / file_name)
    pixels = file.width * file.height
    with Image.open(photograph) as opened:
        original = opened.convert("RGB")
    pictures: dict[str, Image.Image] = {}
    close: dict[str, str] = {}
    objects = len(file.semantics.objects)
    last = len(PICTURES) - 1
    for n, (title, name) in enumerate(PICTURES.items()):
        if objects < n < last:
            continue  # the file has no such object, so its stage passed the picture through
        with Image.open(folder / name) as opened:
            pictures[title] = opened.convert("RGB")
        pair = np.asarray(original), np.asarray(pictures[title])
        close[title] = f"PSNR {psnr(*pair):.2f} dB, MS-SSIM {ms_ssim(*pair):.4f}"
    lines = [f"{file.width}×{file.height} pixels in {file_name}"]
    costs = spent(file)
    for name, count in [*costs.items(), ("file", sum(costs.values()))]:
        lines.append(f"{name:>20}  {count:5d} bytes  {8 * count:6d} bits  {8 * count / pixels:.4f} bpp")
    lines += [f"{title:>20}  {figures}" for title, figures in close.items()]
    spent = {name: f"{name} {count} bytes, {8 * count / pixels:.4f} bpp" for name, count in costs.items()}
    sheet = contact_sheet(
        [(f"Original\n{file.width}×{file.height}, 24 bpp", original), *_panels(file, pictures, close)],
        columns=3,
        title=f"{file_name}: {sum(costs.values())} bytes, {file.bits_per_pixel:.4f} bpp",
        footer=["   ".join(spent.values())],
    )
    sheet.save(folder / SHEET_NAME)
    return lines


def _panels(file: SedicFile, pictures: dict[str, Image], close: dict[str, str]) -> list[tuple[str, Image]]:
    """The decoded pictures, each under its title with what arrived for it and how close it is."""
    pixels = file.width * file.height
    stages = [section for section in file.sections if section.name.startswith(("reference", "object"))]
    stages += [section for section in file.sections if section.name == "overall"]  # the last stage's words
    panels = []
    for (title, picture), section in zip(pictures.items(), stages, strict=True):
        figures = f"{section.name}: {section.bytes} bytes, {8 * section.bytes / pixels:.4f} bpp"
        if section.name.startswith("object"):
            figures += f" (words {section.text_bytes}, mask {section.mask_bytes})"
        panels.append((f"{title}\n{figures}\n{close[title]}", picture))
    return panels


if __name__ == "__main__":
    sys.exit(main())
