"""The demo on a photograph of one's own: the shipped graph with nothing typed, described by the embedded eyes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from .client import Client

LONGEST = 512  # pixels: restoring takes a CPU a time that grows with the area
COPY_NAME = "original.png"


def fitted(photo: Path, folder: Path) -> Path:
    """Writes the photograph, upright, in sRGB and at most :data:`LONGEST` pixels long, into ``folder``.

    Raises:
        SedicError: it cannot be read.
    """
    from PIL import Image

    from sedic.picture import read_picture

    picture = Image.fromarray(read_picture(photo))
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    folder.mkdir(parents=True, exist_ok=True)
    picture.save(folder / COPY_NAME)
    return folder / COPY_NAME


def described(workflow: dict[str, Any], name: str) -> dict[str, Any]:
    """A graph with the embedded eyes in place of typed words and painted masks.

    Args:
        workflow: the shipped graph in API form.
        name: by which its loader finds the photograph.
    """
    graph = {node: copy.deepcopy(entry) for node, entry in workflow.items() if entry["class_type"] != "LoadImageMask"}
    for entry in graph.values():
        kind, inputs = entry["class_type"], entry["inputs"]
        if kind == "LoadImage":
            inputs["image"] = name
        if kind == "SEDIC_LMMTextualize":
            inputs |= {"mode": "embedded", "text": ""}
        for key, value in list(inputs.items()):
            if isinstance(value, list) and value and value[0] not in graph:
                del inputs[key]  # a mask that nobody painted
    return graph


def prepare(client: Client, workflow: dict[str, Any], photograph: Path) -> dict[str, Any]:
    """Uploads the photograph; returns the graph that describes and restores it."""
    return described(workflow, client.upload(photograph))


def told(texts: dict[str, list[str]], graph: dict[str, Any]) -> list[str]:
    """What the eyes said, line by line: the words, what was found and what was left out."""
    return [
        line
        for node, shown in texts.items()
        if graph[node]["class_type"] == "SEDIC_LMMTextualize"
        for text in shown
        for line in text.splitlines()
    ]
