"""What words and masks of a folder of pictures cost beside other coders; ``sedic evaluate`` measures whole files."""

from __future__ import annotations

from pathlib import Path

from . import masks, texts


def measure(text: Path | None, images: Path | None) -> None:
    """Prints the tables that the paths allow.

    Args:
        text: the folder that holds ``text/`` with held-out descriptions: bits a character under each coder.
        images: pictures with Semantics JSON and masks beside them: bytes of words and of masks a picture.

    Raises:
        SedicError: no such files.
    """
    if text is not None:
        texts.measure(text, images)
        print()
    if images is not None:
        masks.measure(images)
