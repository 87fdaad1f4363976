"""The demo's photograph and its black-and-white masks on a server, where graphs of earlier versions look for them."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from headless.client import Client
from sedic.demo import PHOTOGRAPH, SEMANTICS

SMALL = (120, 80)  # pixels: of a graph's run where it does not matter how the pictures look


def upload_inputs(client: Client) -> None:
    """Puts them into the input folder, under their own names."""
    client.upload(PHOTOGRAPH)
    for row in json.loads(SEMANTICS.read_text(encoding="utf-8"))["objects"]:
        client.upload(SEMANTICS.with_name(row["mask"]))


def small_photograph(folder: Path) -> Path:
    """The photograph at :data:`SMALL`, written into a folder; masks are brought to its size by the graph."""
    with Image.open(PHOTOGRAPH) as photograph:
        path = folder / "small_coffee.png"
        photograph.resize(SMALL).save(path)
    return path
