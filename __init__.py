"""ComfyUI-SEDIC: pictures as files of a thousand bytes, restored object by object with your own models.

ComfyUI reads :func:`comfy_entrypoint` and ``WEB_DIRECTORY``. Nothing here needs ComfyUI until it calls.
"""

from __future__ import annotations

from typing import Any

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> Any:
    """The pack's nodes, in ComfyUI's V3 schema.

    Raises:
        RuntimeError: this ComfyUI is too old.
    """
    try:
        from comfy_api.latest import ComfyExtension, io
    except ImportError as error:
        raise RuntimeError("ComfyUI-SEDIC needs ComfyUI 0.3.75 or newer; update ComfyUI and start it again.") from error
    from .nodes import bitstream, encode, example, folder, models, quality, restore, steering

    example.place_example()
    example.watch_prompts()

    class SedicExtension(ComfyExtension):
        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            rooms = encode, folder, bitstream, quality, steering, restore, models
            return [node for room in rooms for node in room.NODES]

    return SedicExtension()
