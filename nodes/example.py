"""The example in ComfyUI's input folder, so that the shipped graphs run with one press.

ComfyUI's loaders offer what lies in that folder, and ship a picture of their own there for the same end. Files are
written where they are missing, under names that begin with ``sedic_``, and never over one that is there.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import folder_paths

from ..sedic.demo import PREFIX, place, place_folder
from .server import running_server


def place_example() -> None:
    """Puts the example into the input folder; one that takes no files is told in the log, and is no matter else."""
    folder = Path(folder_paths.get_input_directory())
    try:
        written = place(folder) + place_folder(folder)
    except OSError as error:
        logging.warning("SEDIC: the example cannot be put into %s (%s); choose pictures of your own.", folder, error)
        return
    if written:
        logging.info("SEDIC: put the example into %s: %s", folder, ", ".join(path.name for path in written))


def watch_prompts() -> None:
    """Puts the example back when a graph is queued that names it, if somebody emptied the input folder meanwhile."""

    def handler(request: dict[str, Any]) -> dict[str, Any]:
        nodes = [node for node in (request.get("prompt") or {}).values() if isinstance(node, dict)]
        values = [value for node in nodes for value in (node.get("inputs") or {}).values()]
        if any(isinstance(value, str) and value.startswith(PREFIX) for value in values):
            place_example()
        return request

    server = running_server()
    if server is not None:
        server.add_on_prompt_handler(handler)
