"""Makes the shipped graphs: ``python -m headless.build``.

Each graph is described once; from the description and the nodes of a running ComfyUI come the API form
(``headless/*.json``, which the client queues), the form of the window (``workflows/*.json``, which ComfyUI's template
browser shows) and the blueprint of an object's stage (``subgraphs/*.json``). The tests build them again and compare.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedic.demo import FILE_NAME
from sedic.errors import SedicError

from . import families
from .comfyui import ROOT, Server
from .decoder import AFTER, CHOSEN, FINAL_TITLE, NUMBERED, OBJECTS, REFERENCE_TITLE, STAGE, decoder
from .drawing import blueprint, drawing
from .encoder import detecting_encoder, encoder, folder_encoder
from .errors import HeadlessError
from .families import Family
from .forms import Graph
from .newer import KNOWN_BY, with_newer

# Titles of the nodes that show the stages, and what the demo calls their pictures.
PICTURES = {
    REFERENCE_TITLE: "reference.png",
    **{AFTER.format(j): f"object{j}.png" for j in range(1, OBJECTS + 1)},
    FINAL_TITLE: "final.png",
}
BLUEPRINT = "Restore object (SEDIC)"
BLUEPRINT_SENTENCE = "Restores one object of a .sedic file: its words, attention guidance, mask fusion and sampler."
OWN_PICTURE = (
    "**Yours:** choose a picture in *Original* and in each *Mask*, paint the object there (Open in MaskEditor), and "
    "write what it shows into *Textualize*."
)
OWN_FOLDER = (
    "**Yours:** put pictures into a folder within the input folder, choose it in *Load Folder*. Files and pictures get "
    "their names. Words of yours: wire *texts* to *Textualize*, mode *typed*."
)
OWN_EYES = "**Yours:** choose a picture in *Original*. The language model says what it shows, SAM 3 finds it."
OWN_FILE = "**Yours:** choose a file in *Load Bitstream*."
# No code in notes: the newer window draws it in blue on blue.
HABITS = "Words: a line an object, *name: detail*, and a line *overall: text*. Black-and-white masks: *channel* red."
ABLATION = "*Restore object* opens. Bypass one (Ctrl+B), or unplug guidance or fusion inside, to see what it does."


def full(family: Family) -> Callable[[Graph], None]:
    """Encode, write the file, read it again, restore object by object, measure."""

    def describe(graph: Graph) -> None:
        graph.note(OWN_PICTURE, column=0)
        graph.note("\n\n".join([HABITS, ABLATION, family.advice]), column=2, foot=True)
        made = encoder(graph)
        load, final = decoder(graph, family, made.save["file"], column=3)
        # Below the models where they are one node, else below the pictures, where there is more room.
        column = 4 if family is families.EMBEDDED else 6
        graph.add(
            "SEDIC_QualityReport", "Quality Report", column=column, group="Decode", shows="comparison",
            original=made.original["IMAGE"], decoded=final["image"], bitstream=load["bitstream"],
        )  # fmt: skip

    return describe


def encode(graph: Graph) -> None:
    """From a picture to a file."""
    graph.note(OWN_PICTURE, column=0)
    graph.note(HABITS, column=2, foot=True)
    encoder(graph)


def encode_core(graph: Graph) -> None:
    """From a picture alone to a file, with ComfyUI's own models."""
    graph.note(OWN_EYES, column=0)
    older = f"*Generate Text* and *SAM3 Detect* are nodes of ComfyUI {KNOWN_BY}; older ones may lack them."
    choice = "Any model that *Generate Text* runs with a picture will do. An object that is not found is left out."
    graph.note(f"{choice}\n\n{older}", column=4, foot=True)
    detecting_encoder(graph)


def decode(graph: Graph) -> None:
    """From a file to a picture."""
    graph.note(OWN_FILE, column=0)
    graph.note("\n\n".join([ABLATION, families.EMBEDDED.advice]), column=0, foot=True)
    decoder(graph, families.EMBEDDED, FILE_NAME, column=0)


def folder(graph: Graph) -> None:
    """Every picture of a folder to a file and back, with nothing typed and nothing painted."""
    graph.note(OWN_FOLDER, column=0)
    graph.note("\n\n".join([ABLATION, families.EMBEDDED.advice]), column=2, foot=True)
    made = folder_encoder(graph)
    load, final = decoder(graph, families.EMBEDDED, made.save["file"], column=3, names=made.original["names"])
    graph.add(
        "SEDIC_QualityReport", "Quality Report", column=4, group="Decode", shows="comparison",
        original=made.original["images"], decoded=final["image"], bitstream=load["bitstream"],
    )  # fmt: skip


def encode_app(graph: Graph) -> None:
    """From a picture to a file, as an app."""
    graph.note(OWN_PICTURE, column=0)
    made = encoder(graph)
    decoded = graph.add(
        "SEDIC_ReferenceDecode", "Reference Decode", column=4, group="Decode", reference=made.reference["reference"]
    )
    look = graph.add(
        "PreviewImage", REFERENCE_TITLE, column=4, group="Decode", shows="picture", images=decoded["image"]
    )
    chosen = {(made.original.id, "image"): "picture", (made.words.id, "text"): "what it shows"}
    chosen |= {(mask.id, "image"): f"mask of object {j}" for j, mask in enumerate(made.masks, 1)}
    graph.app = (chosen, [look, made.save])


def decode_app(graph: Graph) -> None:
    """From a file to a picture, as an app."""
    graph.note(OWN_FILE, column=0)
    load, _ = decoder(graph, families.EMBEDDED, FILE_NAME, column=0)
    shown = [node for node in graph.nodes if node.title in (REFERENCE_TITLE, FINAL_TITLE)]
    # The pack's own list of files with its button to send one, which is no input of the node.
    graph.app = ({(load.id, "file"): "file", (load.id, "files"): ""}, shown)


@dataclass(frozen=True)
class Template:
    """A graph of ComfyUI's template browser; the browser itself shows nothing but the file's name and a picture.

    Attributes:
        title, sentence: at the head of the graph's note, and on the picture.
        describe: adds its nodes to a graph.
    """

    title: str
    sentence: str
    describe: Callable[[Graph], None]


def _own_models(family: Family) -> Template:
    return Template(
        f"SEDIC with {family.name}",
        f"The whole way, picture to file to picture, restored by {family.name} of yours.",
        full(family),
    )


GRAPHS = {
    "sedic_full": Template(
        "SEDIC, the whole way", "A picture to a file of a thousand bytes, and back, object by object.",
        full(families.EMBEDDED),
    ),
    "sedic_encode": Template(
        "SEDIC, encode", "A picture, words and painted masks become a file of a thousand bytes.", encode
    ),
    "sedic_encode_core": Template(
        "SEDIC, encode by itself",
        f"ComfyUI's own models describe a picture and find its objects (as of ComfyUI {KNOWN_BY}).", encode_core,
    ),
    "sedic_decode": Template(
        "SEDIC, decode", "A file of a thousand bytes becomes a picture, object by object.", decode
    ),
    "sedic_app_encode": Template(
        "SEDIC app: picture to file", "Choose a picture, say what it shows, get a file of a thousand bytes.", encode_app
    ),
    "sedic_app_decode": Template(
        "SEDIC app: file to picture", "Choose a file, get the picture that it describes.", decode_app
    ),
    "sedic_folder": Template(
        "SEDIC, a folder", "Every picture of a folder becomes a file, and a picture again, under its name.", folder
    ),
    "sedic_sd15": _own_models(families.SD15),
    "sedic_sd21_diffbir": _own_models(families.SD21_DIFFBIR),
    "sedic_sdxl": _own_models(families.SDXL),
    "sedic_lightning": _own_models(families.LIGHTNING),
    "sedic_sd35": _own_models(families.SD35),
    "sedic_flux": _own_models(families.FLUX),
    "sedic_qwen_image": _own_models(families.QWEN_IMAGE),
    "sedic_z_image": _own_models(families.Z_IMAGE),
}  # fmt: skip


def describe(name: str, object_info: dict[str, Any]) -> Graph:
    """The graph of this name on the nodes of ``object_info``.

    Raises:
        GraphError: its description does not fit the nodes.
    """
    template, graph = GRAPHS[name], Graph(with_newer(object_info))
    template.describe(graph)
    head = f"### {template.title}\n{template.sentence}"
    column, text, foot = graph.notes[0]
    graph.notes[0] = (column, f"{head}\n\n{text}", foot)
    return graph


def build(object_info: dict[str, Any]) -> dict[Path, str]:
    """Both forms of every graph, and the blueprint, as the texts of their files, paths relative to the repository.

    Args:
        object_info: a server's ``/object_info``.

    Raises:
        GraphError: a description does not fit the nodes.
    """
    texts = {}
    for name in GRAPHS:
        graph = describe(name, object_info)
        for folder, form in (("headless", graph.api()), ("workflows", drawing(graph))):
            texts[Path(folder, f"{name}.json")] = json.dumps(form, indent=1, ensure_ascii=False) + "\n"
    shown = [
        (title.format(1), widget)
        for part in (NUMBERED, CHOSEN)
        for title, widgets in part.items()
        for widget in widgets
    ]
    stage = blueprint(describe("sedic_sd15", object_info), STAGE.format(1), BLUEPRINT, BLUEPRINT_SENTENCE, shown)
    # In ASCII: ComfyUI 0.3.75 reads blueprints in the machine's own encoding.
    texts[Path("subgraphs", f"{BLUEPRINT}.json")] = json.dumps(stage, indent=1) + "\n"
    return texts


def main() -> int:
    """Writes all files; returns the exit status."""
    from .client import Client

    try:
        with Server() as server:
            texts = build(Client(server.url, timeout=120).object_info())
    except (SedicError, HeadlessError) as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in texts.items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8", newline="\n")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
