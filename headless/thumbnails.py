"""Draws what the template browser shows of each graph, and the README's sheet: ``python -m headless.thumbnails out``.

``out`` holds what ``python run.py demo`` left. ComfyUI's browser has no place for a pack's titles and sentences, so
they stand on the pictures, ``workflows/*.jpg``. The sheet is the demo's, ``docs/contact_sheet.jpg``, as wide as a page.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from sedic.demo import FILE, PARTS, PHOTOGRAPH, SEMANTICS, painted, part
from sedic.metrics.sheet import QUALITY, save_jpeg

from .build import GRAPHS, PICTURES
from .comfyui import ROOT
from .demo import SHEET_NAME

SIDE, TEXT_HEIGHT, MARGIN = 400, 150, 16
SHEET_WIDTH = 1500
BACKGROUND, INK = "#1f2124", "#f2f2f2"


def main() -> int:
    """Writes all pictures; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m headless.thumbnails", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="what `python run.py demo` left")
    folder = parser.parse_args().folder
    try:
        shown = {name: halves(name, folder) for name in GRAPHS}
        with Image.open(folder / SHEET_NAME) as opened:
            sheet = opened.convert("RGB")
    except OSError as error:
        print(f"{error}; run `python run.py demo` first, and name its folder.", file=sys.stderr)
        return 1
    for name, pictures in shown.items():
        template = GRAPHS[name]
        path = ROOT / "workflows" / f"{name}.jpg"
        card(pictures, template.title, template.sentence).save(path, quality=QUALITY, optimize=True, progressive=True)
        print(path.relative_to(ROOT), path.stat().st_size)
    height = round(sheet.height * SHEET_WIDTH / sheet.width)
    path = ROOT / "docs" / "contact_sheet.jpg"
    save_jpeg(sheet.resize((SHEET_WIDTH, height), Image.Resampling.LANCZOS), path)
    print(path.relative_to(ROOT), path.stat().st_size)
    return 0


def halves(name: str, folder: Path) -> list[tuple[str, Image.Image]]:
    """What goes in and what comes out, each with a word below; of models that are not here, what they start from."""

    def opened(path: Path | io.BytesIO) -> Image.Image:
        with Image.open(path) as picture:
            return picture.convert("RGBA")

    original = ("24 bits a pixel", opened(PHOTOGRAPH))
    reference = (f"{FILE.stat().st_size} bytes", opened(folder / PICTURES["Reference"]))
    final = ("restored", opened(folder / PICTURES["Final picture"]))
    masked = ("picture, mask", opened(io.BytesIO(painted(SEMANTICS.with_name("coffee_cup.png")))))
    parts = [(f"{name}.sedic", opened(io.BytesIO(part(box)))) for name, box in PARTS.items()]
    chosen = {
        "sedic_folder": parts,
        "sedic_full": [original, final],
        "sedic_encode": [masked, reference],
        "sedic_encode_core": [original, reference],
        "sedic_app_encode": [original, reference],
        "sedic_decode": [reference, final],
        "sedic_app_decode": [reference, final],
    }
    return chosen.get(name, [reference])


def card(pictures: list[tuple[str, Image.Image]], title: str, sentence: str) -> Image.Image:
    """Pictures side by side, a title and a sentence below."""
    sheet = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    wide, high = SIDE // len(pictures), SIDE - TEXT_HEIGHT
    for place, (word, picture) in enumerate(pictures):
        fitted = ImageOps.fit(picture, (wide - (place > 0) * 2, high))
        sheet.paste(fitted, (place * wide + (place > 0) * 2, 0), fitted)
        draw.text(
            (place * wide + MARGIN, high - 34), word, INK, ImageFont.load_default(20), stroke_width=2,
            stroke_fill=BACKGROUND,
        )  # fmt: skip
    draw.text((MARGIN, high + 14), title, INK, ImageFont.load_default(27), stroke_width=0)
    font, lines = ImageFont.load_default(20), [""]
    for word in sentence.split():
        longer = f"{lines[-1]} {word}".strip()
        fits = draw.textlength(longer, font) <= SIDE - 2 * MARGIN
        lines = [*lines[:-1], longer] if fits else [*lines, word]
    draw.multiline_text((MARGIN, high + 54), "\n".join(lines), INK, font, spacing=6)
    return sheet


if __name__ == "__main__":
    sys.exit(main())
