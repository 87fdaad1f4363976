"""Weights of the ``compact`` codec that cannot be used, in the place of those that ship."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sedic.reference.compact import codec


def unusable(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> Iterator[None]:
    """Puts a missing file, another kind of file and a cut one where ``codec.<name>`` points to, in turn."""
    for number, content in enumerate((None, b"x" * 100, getattr(codec, name).read_bytes()[:-5])):
        path = folder / f"{number}.safetensors"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(codec, name, path)
        codec.package_weights.cache_clear()
        yield
    monkeypatch.undo()
    codec.package_weights.cache_clear()
