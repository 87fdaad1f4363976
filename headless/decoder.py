"""The decoder's half of a graph: file, models, one stage an object, the whole."""

from __future__ import annotations

from typing import Any

from .families import Family
from .forms import Graph, Link, Node

OBJECTS = 3
STAGE = "Restore object {}"
FINAL_TITLE, REFERENCE_TITLE, AFTER = "Final picture", "Reference", "After object {}"
# What an object's stage shows on its outside, as (title of the node inside, widget); the blueprint also which object.
CHOSEN = {"Sample object {}": ("steps", "cfg"), "Guide object {}": ("eta", "t_prime")}
NUMBERED = {"Semantic Object {}": ("index",), "Sample object {}": ("stage",)}


def decoder(
    graph: Graph, family: Family, file: Link | str, column: int, names: Link | str = "sedic/final"
) -> tuple[Node, Node]:
    """Adds the decoder: the file's nodes in ``column``, models, stages, pictures and the whole in the four behind it.

    Args:
        file: the file's name, or that of each; names: what its pictures are called.

    Returns:
        The nodes that load the file and restore the whole.
    """
    load = graph.add("SEDIC_LoadBitstream", "Load Bitstream", column=column, group="File", shows="files", file=file)
    parts = graph.add(
        "SEDIC_UnpackBitstream", "Unpack Bitstream", column=column, group="File", shows="text",
        bitstream=load["bitstream"],
    )  # fmt: skip
    column, settings = column + 1, family.settings
    models = family.load(graph, column, "Decode")
    negative = graph.add(
        "CLIPTextEncode", "Negative", column=column, group="Decode", clip=models["CLIP"], text=settings.negative
    )
    reference = graph.add(
        "SEDIC_ReferenceDecode", "Reference Decode", column=column, group="Decode", reference=parts["reference"]
    )
    graph.add(
        "PreviewImage", REFERENCE_TITLE, column=column, group="Decode", shows="picture", images=reference["image"]
    )
    shared: dict[str, Any] = {
        "model": models["MODEL"],
        "negative": negative["CONDITIONING"],
        "vae": models["VAE"],
        "control_net": models["CONTROL_NET"],
        "seed": parts["seed"],
        "reference": reference["image"],
        "color_fix": settings.color_fix,
        "sampler": settings.sampler,
        "scheduler": settings.scheduler,
        "working_size": settings.working_size,
    }
    image = previous = reference["image"]
    for j in range(1, OBJECTS + 1):
        stage = _object(graph, family, j, column + 1, parts, models["CLIP"], image, previous, shared)
        image, previous = stage["image"], stage["trajectory"]
        graph.add("PreviewImage", AFTER.format(j), column=column + 2, group="Decode", shows="picture", images=image)
    text = graph.add(
        "CLIPTextEncode", "Overall words", column=column + 3, group="Decode", clip=models["CLIP"], text=parts["overall"]
    )
    final = graph.add(
        "SEDIC_GlobalRestore", "Restore the whole", column=column + 3, group="Decode", shows="picture", **shared,
        positive=text["CONDITIONING"], image=image, condition=settings.condition, start=settings.start,
        steps=settings.overall_steps, cfg=settings.overall_scale,
    )  # fmt: skip
    graph.add(
        "SaveImage", FINAL_TITLE, column=column + 3, group="Decode", shows="picture",
        images=final["image"], filename_prefix=names,
    )  # fmt: skip
    return load, final


def _object(graph: Graph, family: Family, j: int, column: int, parts: Node, clip: Link, image: Link, previous: Link,
            shared: dict[str, Any]) -> Node:  # fmt: skip
    """Object j's stage, which the window draws as one node; returns the node that samples."""
    settings, guidance = family.settings, family.settings.guidance
    place: dict[str, Any] = {"column": column, "group": "Decode", "inside": STAGE.format(j)}
    picked = graph.add("SEDIC_SemanticObject", f"Semantic Object {j}", **place, semantics=parts["semantics"], index=j)
    text = graph.add("CLIPTextEncode", f"Words of object {j}", **place, clip=clip, text=picked["prompt"])
    guide = graph.add(
        "SEDIC_AttentionGuidance", f"Guide object {j}", **place, exposes=CHOSEN["Guide object {}"],
        clip=clip, prompt=picked["prompt"], name=picked["name"], mask=picked["mask"],
        eta=guidance.eta, t_prime=guidance.t_prime, updates=guidance.updates,
    )  # fmt: skip
    fuse = graph.add(
        "SEDIC_LatentMaskFuse", f"Fuse object {j}", **place, mask=picked["mask"], previous=previous,
    )  # fmt: skip
    return graph.add(
        "SEDIC_ORAGSampler", f"Sample object {j}", **place, exposes=CHOSEN["Sample object {}"],
        offers=("image", "trajectory"), **shared,
        positive=text["CONDITIONING"], image=image, stage=j, steps=settings.object_steps, cfg=settings.object_scale,
        guidance=guide["guidance"], fusion=fuse["fusion"],
    )  # fmt: skip
