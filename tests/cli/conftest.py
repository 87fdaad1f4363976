"""A small scene, its file, and the embedded models or none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedic import codec
from sedic.cli import main

from .support import EARLIER, HEIGHT, WIDTH


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """A picture, its words and two masks, and the file made of them."""
    folder = tmp_path_factory.mktemp("scene")
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    Image.fromarray(np.stack([columns * 3, rows * 3, 128 + 0 * rows], 2).astype(np.uint8)).save(folder / "a.png")
    for name, left in (("cup", 0), ("spoon", 32)):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[16:48, left : left + 24] = 255
        Image.fromarray(mask).save(folder / f"{name}.png")
    objects = [{"name": n, "detail": f"a white {n} — 谷", "mask": f"{n}.png"} for n in ("cup", "spoon")]
    words = json.dumps({"objects": objects, "overall": "A cup and a spoon."}, ensure_ascii=False)
    (folder / "s.json").write_text(words, encoding="utf-8")
    assert main(["encode", str(folder / "a.png"), "--semantics", str(folder / "s.json"), "-o",
                 str(folder / "a.sedic"), "--reference", "av1:80"]) == 0  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def embedded():
    """The embedded models, loaded once."""
    return codec.load_models()


@pytest.fixture
def preloaded(embedded, monkeypatch):
    monkeypatch.setattr(codec, "load_models", lambda *_: embedded)


@pytest.fixture
def no_models(monkeypatch):
    """Fails a test that loads any."""
    monkeypatch.setattr(codec, "load_models", lambda *_: pytest.fail("models were loaded"))


@pytest.fixture
def earlier(tmp_path) -> Path:
    """A file that an earlier encode wrote."""
    path = tmp_path / "earlier.sedic"
    path.write_bytes(EARLIER)
    return path


@pytest.fixture
def earlier_picture(tmp_path) -> Path:
    """A picture that an earlier decode wrote."""
    path = tmp_path / "earlier.png"
    path.write_bytes(b"earlier")
    return path
