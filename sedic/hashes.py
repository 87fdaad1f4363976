"""SHA-256 of bytes and of files, as manifests and reports tell them."""

from __future__ import annotations

import hashlib
from pathlib import Path

_PIECE = 1 << 20  # bytes that are read at once: weights have gigabytes


def sha256(data: bytes) -> str:
    """Of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str | None:
    """Of a file's bytes; None where it cannot be read."""
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                total.update(piece)
    except OSError:
        return None
    return total.hexdigest()
