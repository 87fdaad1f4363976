"""Makes the golden stream of a codec again, for new weights: python -m tests.reference.compact_golden NAME

It names the weights that wrote it; ``test_compact`` says so where they are others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from sedic.demo import PHOTOGRAPH
from sedic.reference import codec_by_name

CODECS = ("compact-1", "compact")  # all that a file may name
SIZE, QUALITY = (151, 97), 40  # odd sides


def digest(symbols: tuple[np.ndarray, np.ndarray]) -> str:
    """SHA-256 of all symbols as little-endian 32-bit integers, coarse ones first."""
    return hashlib.sha256(b"".join(k.astype("<i4").tobytes() for k in symbols)).hexdigest()


def golden_of(name: str) -> Path:
    """The stream of a codec."""
    return Path(__file__).parents[1] / "golden" / f"{name}.json"


def main(name: str) -> None:
    """Writes :func:`golden_of` the codec."""
    codec = codec_by_name(name)
    with Image.open(PHOTOGRAPH) as image:
        data = codec.encode(np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)), QUALITY)
    golden = {
        "fingerprint": codec.fingerprint(QUALITY).hex(),
        "size": SIZE,
        "quality": QUALITY,
        "data": base64.b64encode(data).decode(),
        "symbols": digest(codec.symbols(data, SIZE, QUALITY)),
    }
    golden_of(name).write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {len(data)} bytes, weights {golden['fingerprint']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
