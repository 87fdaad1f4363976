"""The demo's photograph and its black-and-white masks on a server, where graphs of earlier versions look for them."""

from __future__ import annotations

import json

from headless.client import Client
from sedic.demo import PHOTOGRAPH, SEMANTICS


def upload_inputs(client: Client) -> None:
    """Puts them into the input folder, under their own names."""
    client.upload(PHOTOGRAPH)
    for row in json.loads(SEMANTICS.read_text(encoding="utf-8"))["objects"]:
        client.upload(SEMANTICS.with_name(row["mask"]))
