"""Files that every later version reads and writes the same: ``tests/golden/NAME.sedic``, its content in ``NAME.json``.

Whoever adds a coder adds a file: ``python -m tests.bitstream.golden NAME TEXT_CODER MASK_CODER``, which writes the
scene of :func:`.scenes.barn` with everything that a header can hold. A file that is there is never written again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sedic.bitstream import Hints, SedicFile

from .scenes import barn

FOLDER = Path(__file__).resolve().parents[1] / "golden"
HINTS = Hints(seed=2**40 + 5, object_steps=12, overall_steps=200, guidance=False)


def content(file: SedicFile) -> dict[str, Any]:
    """All that a file says, as JSON has it; masks as lengths of runs, row by row, outside first."""
    objects = [{"name": o.name, "detail": o.detail, "mask": runs(o.mask)} for o in file.semantics.objects]
    return {
        "width": file.width,
        "height": file.height,
        "codec_id": file.codec_id,
        "quality": file.quality,
        "text_coder": file.text_coder,
        "mask_coder": file.mask_coder,
        "fingerprint": file.fingerprint.hex(),
        "hints": vars(file.hints),
        "reference": None if file.reference is None else file.reference.hex(),
        "overall": file.semantics.overall,
        "objects": objects,
        "missing": file.missing,
    }


def runs(mask: np.ndarray | None) -> list[int] | None:
    """Lengths of runs of a mask, row by row; the first is of pixels outside and may be 0."""
    if mask is None:
        return None
    changes = np.flatnonzero(np.diff(mask.ravel().astype(np.int8), prepend=0))
    return np.diff(changes, prepend=0, append=mask.size).tolist()


def make(name: str, text_coder: int, mask_coder: int) -> None:
    """Writes a new golden file and its content."""
    file = barn(fingerprint=b"\x01\x02\xfe\xff", hints=HINTS, text_coder=text_coder, mask_coder=mask_coder)
    path = FOLDER / f"{name}.sedic"
    with path.open("xb") as stream:
        stream.write(file.to_bytes())
    describe(path)


def describe(path: Path) -> None:
    """Writes the content of a golden file beside it."""
    text = json.dumps(content(SedicFile.read(path)), ensure_ascii=False, separators=(",", ":"))
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
