"""Makes the golden stream of ``compact`` again, for new weights: python -m tests.reference.compact_golden

It names the weights that wrote it; ``test_compact`` says so where they are others.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from sedic.demo import PHOTOGRAPH
from sedic.reference.compact import Compact

GOLDEN = Path(__file__).parents[1] / "golden" / "compact.json"
SIZE, QUALITY = (151, 97), 40  # odd sides


def digest(symbols: tuple[np.ndarray, np.ndarray]) -> str:
    """SHA-256 of all symbols as little-endian 32-bit integers, coarse ones first."""
    return hashlib.sha256(b"".join(k.astype("<i4").tobytes() for k in symbols)).hexdigest()


def main() -> None:
    """Writes :data:`GOLDEN`."""
    codec = Compact()
    with Image.open(PHOTOGRAPH) as image:
        data = codec.encode(np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)), QUALITY)
    golden = {
        "fingerprint": codec.fingerprint(QUALITY).hex(),
        "size": SIZE,
        "quality": QUALITY,
        "data": base64.b64encode(data).decode(),
        "symbols": digest(codec.symbols(data, SIZE, QUALITY)),
    }
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
    print(f"{GOLDEN.name}: {len(data)} bytes, weights {golden['fingerprint']}")


if __name__ == "__main__":
    main()
