"""A graph of two made-up nodes."""

from __future__ import annotations

from typing import Any

from headless.forms import Graph

INFO: dict[str, Any] = {
    "Load": {
        "display_name": "Load a picture",
        "input": {"required": {"image": [["a.png", "b.png"], {"image_upload": True}]}},
        "output": ["IMAGE", "MASK"],
        "output_name": ["picture", "MASK"],
    },
    "Sample": {
        "display_name": "Sample",
        "input": {
            "required": {
                "steps": ["INT", {"default": 10}],
                "image": ["IMAGE", {}],
                "seed": ["INT", {"default": 7, "control_after_generate": True}],
                "sampler": ["COMBO", {"options": ["euler", "heun"]}],
            },
            "optional": {
                "mask": ["MASK", {}],
                "text": ["STRING", {"multiline": True}],
                "sigma": ["FLOAT", {"forceInput": True}],
            },
        },
        "output": ["LATENT"],
        "output_name": ["LATENT"],
    },
}


def small(**sample: Any) -> Graph:
    """A loader whose picture and mask feed a sampler; ``sample`` goes to the sampler's description."""
    graph = Graph(INFO)
    load = graph.add("Load", "Original", column=0, group="In", image="b.png")
    graph.add("Sample", column=1, group="Out", image=load["picture"], mask=load["MASK"], steps=4, **sample)
    return graph
