"""Nodes of newer ComfyUIs as their ``/object_info`` shows them, for graphs that are built on one without them.

No more of them than the graphs use: of *Generate Text*'s sampling the choice without further inputs.
"""

from __future__ import annotations

from typing import Any

KNOWN_BY = "0.33.0"
"""The ComfyUI in which these were read."""

NODES: dict[str, Any] = {
    "TextGenerate": {
        "display_name": "Generate Text",
        "input": {
            "required": {
                "clip": ["CLIP", {}],
                "prompt": ["STRING", {"default": "", "multiline": True}],
                "max_length": ["INT", {"default": 512}],
                "sampling_mode": ["COMBO", {"options": ["off"]}],
            },
            "optional": {
                "image": ["IMAGE", {}],
                "video": ["IMAGE", {}],
                "audio": ["AUDIO", {}],
                "thinking": ["BOOLEAN", {"default": False}],
                "use_default_template": ["BOOLEAN", {"default": True}],
            },
        },
        "output": ["STRING"],
        "output_name": ["generated_text"],
    },
    "SAM3_Detect": {
        "display_name": "SAM3 Detect",
        "input": {
            "required": {
                "model": ["MODEL", {}],
                "image": ["IMAGE", {}],
                "threshold": ["FLOAT", {"default": 0.5}],
                "refine_iterations": ["INT", {"default": 2}],
                "individual_masks": ["BOOLEAN", {"default": False}],
            },
            "optional": {
                "conditioning": ["CONDITIONING", {}],
                "bboxes": ["BOUNDING_BOX", {"forceInput": True}],
                "positive_coords": ["STRING", {"forceInput": True}],
                "negative_coords": ["STRING", {"forceInput": True}],
            },
        },
        "output": ["MASK", "BOUNDING_BOX"],
        "output_name": ["masks", "bboxes"],
    },
}


def with_newer(object_info: dict[str, Any]) -> dict[str, Any]:
    """``object_info``, and of the nodes that are not in it those of newer ComfyUIs."""
    return {**NODES, **object_info}
