"""Makes the shipped graphs: ``python -m headless.build``.

Each graph is described once, here; from the description and the nodes of a running ComfyUI come the API form
(``headless/*.json``, which the client queues) and the UI form (``workflows/*.json``, which ComfyUI's template browser
shows). The tests build them again and compare.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sedic.codec import EMBEDDED_GUIDANCE, EMBEDDED_SETTINGS
from sedic.errors import SedicError
from sedic.reference.registry import DEFAULT_CODEC

from .comfyui import ROOT, ComfyUIError, Server
from .forms import Graph, Link, Node

OBJECTS = 3
FILE_TITLE = "Save Bitstream"
# Titles of the nodes that show the stages, and what the demo calls their pictures.
PICTURES = {
    "Reference": "reference.png",
    **{f"After object {j}": f"object{j}.png" for j in range(1, OBJECTS + 1)},
    "Final picture": "final.png",
}
INPUT_NOTE = """\
The pictures of this graph lie in the pack's folder `sedic/demo`: put them into ComfyUI's `input` folder, or choose a
picture of your own in **Original**, describe it in **Textualize** (one line an object, `name: detail`, and one line
`overall: text`), and paint a mask for each object (right-click on a loader, Open in MaskEditor).
Nothing else is needed: the embedded models run on a CPU. They are small; wire a checkpoint of yours in their place."""
DECODE_NOTE = """\
Put a `.sedic` file into ComfyUI's `input` folder and name it in **Load Bitstream**. The embedded models are small;
wire a checkpoint, a ControlNet (tile) and a VAE of yours in their place, and give the samplers their usual settings
(10 steps and cfg 3.5 for an object, 20 and 7 for the whole, working_size 0). Unplugging *guidance* or *fusion* is an
ablation."""


def full(graph: Graph) -> None:
    """Encode, write the file, read it again, restore object by object, measure."""
    graph.note(INPUT_NOTE, column=0)
    original, _, save = encoder(graph)
    load, final = decoder(graph, save["file"], column=4)
    graph.add(
        "SEDIC_QualityReport", "Quality Report", column=14, group="Measure",
        original=original["IMAGE"], decoded=final["image"], bitstream=load["bitstream"],
    )  # fmt: skip


def encode(graph: Graph) -> None:
    """From a picture to a file."""
    graph.note(INPUT_NOTE, column=0)
    encoder(graph)


def decode(graph: Graph) -> None:
    """From a file to a picture."""
    graph.note(DECODE_NOTE, column=0)
    decoder(graph, "picture.sedic", column=0)


GRAPHS: dict[str, Callable[[Graph], None]] = {"sedic_full": full, "sedic_encode": encode, "sedic_decode": decode}


def encoder(graph: Graph) -> tuple[Node, Node, Node]:
    """The encoder's nodes in columns 0 to 3; returns those that load the original, pack and save."""
    from sedic.demo import PHOTOGRAPH, SEMANTICS

    described = json.loads(SEMANTICS.read_text(encoding="utf-8"))
    rows = described["objects"]
    typed = "\n".join([*(f"{row['name']}: {row['detail']}" for row in rows), f"overall: {described['overall']}"])
    original = graph.add("LoadImage", "Original", column=0, group="Encode", shows=True, image=PHOTOGRAPH.name)
    masks = {
        f"mask_{j}": graph.add(
            "LoadImageMask", f"Mask {j}", column=0, group="Encode", shows=True, image=row["mask"], channel="red"
        )["MASK"]
        for j, row in enumerate(rows, 1)
    }
    words = graph.add(
        "SEDIC_LMMTextualize", "Textualize", column=1, group="Encode", shows=True, image=original["IMAGE"], text=typed
    )
    located = graph.add(
        "SEDIC_GroundedSAM", "Grounded SAM", column=2, group="Encode", shows=True,
        image=original["IMAGE"], semantics=words["semantics"], detector="none", segmenter="none", **masks,
    )  # fmt: skip
    reference = graph.add(
        "SEDIC_ReferenceEncode", "Reference Encode", column=2, group="Encode",
        image=original["IMAGE"], codec=DEFAULT_CODEC,
    )  # fmt: skip
    pack = graph.add(
        "SEDIC_PackBitstream", "Pack Bitstream", column=3, group="File", shows=True,
        reference=reference["reference"], semantics=located["semantics"], image=original["IMAGE"],
    )  # fmt: skip
    save = graph.add("SEDIC_SaveBitstream", FILE_TITLE, column=3, group="File", shows=True, bitstream=pack["bitstream"])
    return original, pack, save


def decoder(graph: Graph, file: Link | str, column: int) -> tuple[Node, Node]:
    """The decoder's nodes from ``column`` on; returns those that load the file and restore the whole."""
    load = graph.add("SEDIC_LoadBitstream", "Load Bitstream", column=column, group="File", shows=True, file=file)
    parts = graph.add(
        "SEDIC_UnpackBitstream", "Unpack Bitstream", column=column, group="File", shows=True,
        bitstream=load["bitstream"],
    )  # fmt: skip
    column += 1
    models = graph.add("SEDIC_EmbeddedModels", "Embedded Models", column=column, group="Start")
    negative = graph.add(
        "CLIPTextEncode", "Negative", column=column, group="Start", clip=models["CLIP"], text=_negative()
    )
    reference = graph.add(
        "SEDIC_ReferenceDecode", "Reference Decode", column=column, group="Start", reference=parts["reference"]
    )
    graph.add("PreviewImage", "Reference", column=column, group="Start", shows=True, images=reference["image"])
    shared = {
        "reference": reference["image"],
        "color_fix": EMBEDDED_SETTINGS["color_fix"],
        "model": models["MODEL"],
        "negative": negative["CONDITIONING"],
        "vae": models["VAE"],
        "control_net": models["CONTROL_NET"],
        "seed": parts["seed"],
    }
    image = previous = reference["image"]
    for j in range(1, OBJECTS + 1):
        column += 1
        group = f"Object {j}"
        picked = graph.add(
            "SEDIC_SemanticObject", f"Semantic Object {j}", column=column, group=group,
            semantics=parts["semantics"], index=j,
        )  # fmt: skip
        text = graph.add(
            "CLIPTextEncode", f"Words of object {j}", column=column, group=group,
            clip=models["CLIP"], text=picked["prompt"],
        )  # fmt: skip
        guidance = graph.add(
            "SEDIC_AttentionGuidance", f"Guide object {j}", column=column, group=group,
            clip=models["CLIP"], prompt=picked["prompt"], name=picked["name"], mask=picked["mask"],
            eta=EMBEDDED_GUIDANCE["eta"], t_prime=EMBEDDED_GUIDANCE["t_prime"],
        )  # fmt: skip
        fusion = graph.add(
            "SEDIC_LatentMaskFuse", f"Fuse object {j}", column=column, group=group,
            mask=picked["mask"], previous=previous,
        )  # fmt: skip
        column += 1
        stage = graph.add(
            "SEDIC_ORAGSampler", f"Restore object {j}", column=column, group=group, **shared,
            positive=text["CONDITIONING"], image=image, stage=j,
            steps=EMBEDDED_SETTINGS["object_steps"], cfg=EMBEDDED_SETTINGS["object_scale"],
            working_size=EMBEDDED_SETTINGS["working_size"],
            guidance=guidance["guidance"], fusion=fusion["fusion"],
        )  # fmt: skip
        image, previous = stage["image"], stage["trajectory"]
        graph.add("PreviewImage", f"After object {j}", column=column, group=group, shows=True, images=image)
    column += 1
    text = graph.add(
        "CLIPTextEncode", "Overall words", column=column, group="Final", clip=models["CLIP"], text=parts["overall"]
    )
    final = graph.add(
        "SEDIC_GlobalRestore", "Restore the whole", column=column, group="Final", shows=True, **shared,
        positive=text["CONDITIONING"], image=image,
        steps=EMBEDDED_SETTINGS["overall_steps"], cfg=EMBEDDED_SETTINGS["overall_scale"],
        working_size=EMBEDDED_SETTINGS["working_size"],
    )  # fmt: skip
    column += 1
    graph.add(
        "SaveImage", "Final picture", column=column, group="Final", shows=True,
        images=final["image"], filename_prefix="sedic/final",
    )  # fmt: skip
    return load, final


def _negative() -> str:
    from sedic.restoration.settings import NEGATIVE

    return NEGATIVE


def build(object_info: dict[str, Any]) -> dict[Path, str]:
    """Both forms of every graph as the texts of their files, paths relative to the repository.

    Args:
        object_info: a server's ``/object_info``.

    Raises:
        GraphError: a description does not fit the nodes.
    """
    texts = {}
    for name, describe in GRAPHS.items():
        graph = Graph(object_info)
        describe(graph)
        texts[Path("headless", f"{name}.json")] = json.dumps(graph.api(), indent=1, ensure_ascii=False) + "\n"
        texts[Path("workflows", f"{name}.json")] = json.dumps(graph.ui(), indent=1, ensure_ascii=False) + "\n"
    return texts


def main() -> int:
    """Writes all files; returns the exit status."""
    from .client import Client

    try:
        with Server() as server:
            texts = build(Client(server.url, timeout=120).object_info())
    except (SedicError, ComfyUIError) as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in texts.items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8", newline="\n")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
