"""A contact sheet: pictures of one size side by side, each with its name and figures below it."""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Pillow's own font has ASCII and these; of the others, the ones that labels use are spelled.
_DRAWN = "·…°"
_SPELLED = str.maketrans({"×": "x", "→": "-", "–": "-", "—": "-", "≤": "<=", "≥": ">=", "“": '"', "”": '"', "’": "'"})
# What the sheets of the documentation are written with: at the width at which a page shows them, more is not seen.
QUALITY, MOST_BYTES = 76, 350_000
_PAPER, _INK, _GREY, _LINE = (250, 249, 246), (28, 28, 30), (110, 110, 116), (222, 220, 214)


def contact_sheet(
    panels: Sequence[tuple[str, Image.Image | np.ndarray]],
    columns: int,
    title: str = "",
    footer: Sequence[str] = (),
    panel_width: int | None = None,
) -> Image.Image:
    """Lays pictures out in rows, as an RGB image.

    Args:
        panels: (label, picture); a label's first line is the panel's name, further lines are small figures. Pictures
            are PIL images or (H, W, 3) uint8; all are shown at the first one's size.
        columns: panels in a row, at least 1.
        title: one line above all.
        footer: small lines below all.
        panel_width: pixels of a picture's width on the sheet; its own width by default.

    Raises:
        ValueError: no panels, or fewer than one column.
    """
    if not panels or columns < 1:
        raise ValueError(f"A contact sheet needs panels and columns; got {len(panels)} and {columns}.")
    pictures = [image if isinstance(image, Image.Image) else Image.fromarray(image) for _, image in panels]
    width = panel_width or pictures[0].width
    height = max(1, round(pictures[0].height * width / pictures[0].width))
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)

    # everything follows from the panel's width, so that sheets of small and large pictures look alike
    name_font, figure_font = _font(width / 19), _font(width / 26)
    title_font = _font(width / 12)
    gap = max(6, width // 24)
    name_height, figure_height = _line(name_font), _line(figure_font)
    labels = [label.splitlines() or [""] for label, _ in panels]
    label_height = gap // 3 + name_height + figure_height * (max(map(len, labels)) - 1)
    head = gap + _line(title_font) + gap // 2 if title else gap
    foot = gap // 2 + figure_height * len(footer) + gap if footer else gap // 2
    sheet_width = gap + columns * (width + gap)
    sheet = Image.new("RGB", (sheet_width, head + rows * (height + label_height + gap) + foot), _PAPER)
    draw = ImageDraw.Draw(sheet)

    if title:
        draw.text((gap, gap), _fitted(title, title_font, sheet_width - 2 * gap), _INK, title_font)
    for i, (picture, lines) in enumerate(zip(pictures, labels, strict=True)):
        x = gap + i % columns * (width + gap)
        y = head + i // columns * (height + label_height + gap)
        sheet.paste(picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), (x, y))
        draw.rectangle((x - 1, y - 1, x + width, y + height), outline=_LINE)
        y += height + gap // 3
        draw.text((x, y), _fitted(lines[0], name_font, width), _INK, name_font)
        for n, line in enumerate(lines[1:]):
            draw.text((x, y + name_height + n * figure_height), _fitted(line, figure_font, width), _GREY, figure_font)
    if footer:
        y = sheet.height - foot
        draw.line((gap, y, sheet_width - gap, y), _LINE)
        for n, line in enumerate(footer):
            place = (gap, y + gap // 2 + n * figure_height)
            draw.text(place, _fitted(line, figure_font, sheet_width - 2 * gap), _GREY, figure_font)
    return sheet


def jpeg(sheet: Image.Image, most_bytes: int, best: int = 92) -> bytes:
    """``sheet`` as the JPEG below ``most_bytes`` whose quality is nearest to ``best``, or the smallest there is."""
    data = b""
    for quality in range(best, 30, -4):
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        data = buffer.getvalue()
        if len(data) < most_bytes:
            break
    return data


def save_jpeg(sheet: Image.Image, to: Path) -> None:
    """Writes ``sheet`` for a page of the documentation."""
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(jpeg(sheet, MOST_BYTES, QUALITY))


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which is everywhere; a Pillow without FreeType has one size only."""
    return ImageFont.load_default(max(10, round(size)))


def _line(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    return round(1.3 * (font.getbbox("Äg")[3]))


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """``text`` in letters that the font has, or as much of it as ``width`` pixels hold and an ellipsis."""
    letters = "".join(c if c in _DRAWN else unicodedata.normalize("NFKD", c) for c in text.translate(_SPELLED))
    text = "".join(c if c.isascii() or c in _DRAWN else "?" for c in letters if not unicodedata.combining(c))
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
