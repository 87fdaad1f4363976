"""Where a file's bytes go."""

from __future__ import annotations

from ..bitstream import SedicFile


def spent(file: SedicFile) -> dict[str, int]:
    """Bytes of a file by what they are spent on: reference, words, masks, header and framing; they add up to it."""
    reference = 0 if file.reference is None else len(file.reference)
    words = sum(section.text_bytes for section in file.sections)
    masks = sum(section.mask_bytes for section in file.sections)
    framing = file.size - reference - words - masks
    return {"reference": reference, "words": words, "masks": masks, "header and framing": framing}
