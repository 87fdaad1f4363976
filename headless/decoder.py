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
        "seed": parts["seed"],
        "reference": reference["image"],
        "color_fix": settings.color_fix,
        "detail": settings.detail,
        "sampler": settings.sampler,
        "scheduler": settings.scheduler,
        "working_size": settings.working_size,
    }
    if "CONTROL_NET" in models:
        shared["control_net"] = models["CONTROL_NET"]
    image = previous = reference["image"]
    for j in range(1, OBJECTS + 1):
        stage = _object(graph, family, j, column + 1, parts, models, image, previous, shared)
        image, previous = stage["image"], stage["trajectory"]
        graph.add("PreviewImage", AFTER.format(j), column=column + 2, group="Decode", shows="picture", images=image)
    text = graph.add(
        "CLIPTextEncode", "Overall words", column=column + 3, group="Decode", clip=models["CLIP"], text=parts["overall"]
    )
    whole = shared | _patched(graph, models, image, "Control of the whole", column=column + 3, group="Decode")
    final = graph.add(
        "SEDIC_GlobalRestore", "Restore the whole", column=column + 3, group="Decode", shows="picture with text",
        **whole, positive=text["CONDITIONING"], image=image, condition=settings.condition, start=settings.start,
        steps=settings.overall_steps, cfg=settings.overall_scale,
    )  # fmt: skip
    graph.add(
        "SaveImage", FINAL_TITLE, column=column + 3, group="Decode", shows="picture",
        images=final["image"], filename_prefix=names,
    )  # fmt: skip
    return load, final


def _patched(graph: Graph, models: dict[str, Link], image: Link, title: str, **place: Any) -> dict[str, Link]:
    """A stage's own MODEL where a patch of the model takes the ControlNet's place; nothing for other models."""
    if "MODEL_PATCH" not in models:
        return {}
    patched = graph.add(
        "QwenImageDiffsynthControlnet", title, **place, model=models["MODEL"], model_patch=models["MODEL_PATCH"],
        vae=models["VAE"], image=image,
    )  # fmt: skip
    return {"model": patched["MODEL"]}


def _object(graph: Graph, family: Family, j: int, column: int, parts: Node, models: dict[str, Link], image: Link,
            previous: Link, shared: dict[str, Any]) -> Node:  # fmt: skip
    """Object j's stage, which the window draws as one node; returns the node that samples."""
    settings, guidance, clip = family.settings, family.settings.guidance, models["CLIP"]
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
    own = shared | _patched(graph, models, image, f"Control object {j}", **place)
    return graph.add(
        "SEDIC_ORAGSampler", f"Sample object {j}", **place, exposes=CHOSEN["Sample object {}"],
        offers=("image", "trajectory"), **own,
        positive=text["CONDITIONING"], image=image, stage=j, steps=settings.object_steps, cfg=settings.object_scale,
        guidance=guide["guidance"], fusion=fuse["fusion"],
    )  # fmt: skip
