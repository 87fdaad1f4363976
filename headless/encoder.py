"""The encoder's half of a graph: loaders, words, masks, reference, file."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sedic.demo import FOLDER_NAME, PICTURE_NAME, SEMANTICS, mask_names
from sedic.reference.registry import DEFAULT_CODEC

from .forms import Graph, Link, Node

FILE_TITLE = "Save Bitstream"


@dataclass(frozen=True)
class Encoder:
    """The nodes that others are wired to, or that app mode shows; ``original`` is the loader of what is encoded."""

    original: Node
    masks: list[Node]
    words: Node
    reference: Node
    save: Node


def encoder(graph: Graph) -> Encoder:
    """Adds the encoder in columns 0 to 2 and what writes the file in column 3.

    Masks come from the alpha channel, where ComfyUI's mask editor paints them.
    """
    original = graph.add("LoadImage", "Original", column=0, group="Encode", shows="picture", image=PICTURE_NAME)
    words = graph.add(
        "SEDIC_LMMTextualize", "Textualize", column=0, group="Encode", shows="text",
        image=original["IMAGE"], text=example_words(),
    )  # fmt: skip
    masks = [
        graph.add("LoadImageMask", f"Mask {j}", column=1, group="Encode", shows="picture", image=name, channel="alpha")
        for j, name in enumerate(mask_names(), 1)
    ]
    given = {f"mask_{j}": mask["MASK"] for j, mask in enumerate(masks, 1)}
    reference, save = _packed(graph, original["IMAGE"], words, given, {})
    return Encoder(original, masks, words, reference, save)


def folder_encoder(graph: Graph) -> Encoder:
    """As :func:`encoder`, for every picture of a folder, with the words and masks that the embedded eyes find."""
    folder = graph.add("SEDIC_LoadFolder", "Load Folder", column=0, group="Encode", shows="text", folder=FOLDER_NAME)
    words = graph.add(
        "SEDIC_LMMTextualize", "Textualize", column=1, group="Encode", shows="text",
        image=folder["images"], mode="embedded",
    )  # fmt: skip
    reference, save = _packed(graph, folder["images"], words, {}, {"names": folder["names"]})
    return Encoder(folder, [], words, reference, save)


def _packed(
    graph: Graph, image: Link, words: Node, given: dict[str, Link], named: dict[str, Link]
) -> tuple[Node, Node]:
    """Adds what makes files of pictures and words; returns the nodes of the reference and of the file."""
    located = graph.add(
        "SEDIC_GroundedSAM", "Grounded SAM", column=2, group="Encode", shows="picture",
        image=image, semantics=words["semantics"], detector="none", segmenter="none", **given,
    )  # fmt: skip
    reference = graph.add(
        "SEDIC_ReferenceEncode", "Reference Encode", column=2, group="Encode", shows="line",
        image=image, codec=DEFAULT_CODEC,
    )  # fmt: skip
    pack = graph.add(
        "SEDIC_PackBitstream", "Pack Bitstream", column=3, group="File", shows="text",
        reference=reference["reference"], semantics=located["semantics"], image=image,
    )  # fmt: skip
    save = graph.add(
        "SEDIC_SaveBitstream", FILE_TITLE, column=3, group="File", shows="text", bitstream=pack["bitstream"], **named
    )
    return reference, save


def example_words() -> str:
    """The example's words as they are typed into the node."""
    described = json.loads(SEMANTICS.read_text(encoding="utf-8"))
    rows = [f"{row['name']}: {row['detail']}" for row in described["objects"]]
    return "\n".join([*rows, f"overall: {described['overall']}"])
