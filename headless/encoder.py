"""The encoder's half of a graph: loaders, words, masks, reference, file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sedic.demo import FOLDER_NAME, PICTURE_NAME, SEMANTICS, mask_names
from sedic.models import catalogue
from sedic.reference.registry import DEFAULT_CODEC
from sedic.understanding.words.textualize import question

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
    reference, save = _packed(graph, original["IMAGE"], words, [mask["MASK"] for mask in masks], column=2)
    return Encoder(original, masks, words, reference, save)


def folder_encoder(graph: Graph) -> Encoder:
    """As :func:`encoder`, for every picture of a folder, with the words and masks that the embedded eyes find."""
    folder = graph.add("SEDIC_LoadFolder", "Load Folder", column=0, group="Encode", shows="text", folder=FOLDER_NAME)
    words = graph.add(
        "SEDIC_LMMTextualize", "Textualize", column=1, group="Encode", shows="text",
        image=folder["images"], mode="embedded",
    )  # fmt: skip
    reference, save = _packed(graph, folder["images"], words, [], column=2, names=folder["names"])
    return Encoder(folder, [], words, reference, save)


def detecting_encoder(graph: Graph) -> None:
    """The encoder whose words and masks come from ComfyUI's own models: Qwen3.5 in *Generate Text*, SAM 3."""
    original = graph.add("LoadImage", "Original", column=0, group="Encode", shows="picture", image=PICTURE_NAME)
    speaker = graph.add(
        "CLIPLoader", "Language model", column=0, group="Encode", models=(catalogue.QWEN35.properties(),),
        clip_name=catalogue.QWEN35.name, type="stable_diffusion",
    )  # fmt: skip
    said = graph.add(
        "TextGenerate", "Generate Text", column=1, group="Encode", image=original["IMAGE"], clip=speaker["CLIP"],
        prompt=question_in_lines(), max_length=1024, sampling_mode="off",
    )  # fmt: skip
    words = graph.add(
        "SEDIC_LMMTextualize", "Textualize", column=1, group="Encode", shows="text",
        image=original["IMAGE"], text=said["generated_text"],
    )  # fmt: skip
    sam = graph.add(
        "CheckpointLoaderSimple", "SAM 3", column=1, group="Encode", models=(catalogue.SAM31.properties(),),
        ckpt_name=catalogue.SAM31.name,
    )  # fmt: skip
    found = []
    for j in range(1, 4):
        named = graph.add(
            "SEDIC_SemanticObject", f"Semantic Object {j}", column=2, group="Encode", semantics=words["semantics"],
            index=j,
        )  # fmt: skip
        name = graph.add(
            "CLIPTextEncode", f"Name of object {j}", column=2, group="Encode", clip=sam["CLIP"], text=named["name"]
        )
        found.append(
            graph.add(
                "SAM3_Detect", f"Find object {j}", column=3, group="Encode", model=sam["MODEL"],
                image=original["IMAGE"], conditioning=name["CONDITIONING"],
            )["masks"]
        )  # fmt: skip
    _packed(graph, original["IMAGE"], words, found, column=4, mode="detected")


def _packed(graph: Graph, image: Link, words: Node, masks: list[Link], column: int, names: Link | None = None,
            **located: Any) -> tuple[Node, Node]:  # fmt: skip
    """Masks and reference in one column and what writes the file in the next; the reference, and what saves."""
    named = {} if names is None else {"names": names}
    found = graph.add(
        "SEDIC_GroundedSAM", "Grounded SAM", column=column, group="Encode", shows="picture with text",
        image=image, semantics=words["semantics"], detector="none", segmenter="none", **located,
        **{f"mask_{j}": mask for j, mask in enumerate(masks, 1)},
    )  # fmt: skip
    reference = graph.add(
        "SEDIC_ReferenceEncode", "Reference Encode", column=column, group="Encode", shows="text",
        image=image, codec=DEFAULT_CODEC,
    )  # fmt: skip
    pack = graph.add(
        "SEDIC_PackBitstream", "Pack Bitstream", column=column + 1, group="File", shows="text",
        reference=reference["reference"], semantics=found["semantics"], image=image,
    )  # fmt: skip
    save = graph.add(
        "SEDIC_SaveBitstream", FILE_TITLE, column=column + 1, group="File", shows="text",
        bitstream=pack["bitstream"], **named,
    )  # fmt: skip
    return reference, save


def question_in_lines() -> str:
    """The paper's question, to be answered in the form of typed words.

    Without braces, which the window takes for a choice among prompts.
    """
    parts = question().rpartition("Answer with one JSON")[0]
    return parts + (
        "Answer with lines and nothing else: for each object its name, a colon and its details; then overall, a colon "
        "and the description of the whole. Like this:\nred barn: weathered boards, white doors\noverall: a red barn "
        "beside a pond, summer morning"
    )


def example_words() -> str:
    """The example's words as they are typed into the node."""
    described = json.loads(SEMANTICS.read_text(encoding="utf-8"))
    rows = [f"{row['name']}: {row['detail']}" for row in described["objects"]]
    return "\n".join([*rows, f"overall: {described['overall']}"])
