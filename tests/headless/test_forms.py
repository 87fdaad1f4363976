"""Both forms of a graph come from one description and say the same."""

from __future__ import annotations

import pytest

from headless.forms import Graph
from headless.graph import GraphError

INFO = {
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


@pytest.fixture
def graph() -> Graph:
    """A loader whose picture and mask feed a sampler."""
    graph = Graph(INFO)
    load = graph.add("Load", "Original", column=0, group="In", image="b.png")
    graph.add("Sample", column=1, group="Out", image=load["picture"], mask=load["MASK"], steps=4)
    return graph


def test_api_form_holds_values_defaults_and_wires(graph: Graph) -> None:
    sample = graph.api()["2"]
    assert sample["class_type"] == "Sample"
    assert sample["_meta"] == {"title": "Sample"}
    assert sample["inputs"] == {
        "steps": 4, "image": ["1", 0], "seed": 7, "sampler": "euler", "mask": ["1", 1], "text": "",
    }  # fmt: skip


def test_every_wire_of_the_api_form_is_in_the_ui_form_and_no_other(graph: Graph) -> None:
    drawn = {node["id"]: node for node in graph.ui()["nodes"]}
    wires = set()
    for link, source, slot, target, place, kind in graph.ui()["links"]:
        end = drawn[target]["inputs"][place]
        assert end["link"] == link
        assert link in drawn[source]["outputs"][slot]["links"]
        assert end["type"] == drawn[source]["outputs"][slot]["type"] == kind
        wires.add((str(target), end["name"], (str(source), slot)))
    expected = {
        (node, name, tuple(value))
        for node, entry in graph.api().items()
        for name, value in entry["inputs"].items()
        if isinstance(value, list)
    }
    assert wires == expected


def test_widget_values_stand_in_the_order_of_declaration_with_the_windows_own(graph: Graph) -> None:
    load, sample = graph.ui()["nodes"]
    assert load["widgets_values"] == ["b.png", "image"]
    assert sample["widgets_values"] == [4, 7, "fixed", "euler", ""]
    assert [i["name"] for i in sample["inputs"]] == ["image", "mask", "sigma", "steps", "seed", "sampler", "text"]


def test_groups_frame_their_nodes_and_do_not_overlap(graph: Graph) -> None:
    first, second = graph.ui()["groups"]
    assert [first["title"], second["title"]] == ["In", "Out"]
    assert first["bounding"][0] + first["bounding"][2] < second["bounding"][0]


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        ("Gone", {}, "no node Gone"),
        ("Load", {"picture": 1}, "no input 'picture'"),
        ("Sample", {}, "needs its input 'image'"),
    ],
)
def test_wrong_description_is_told(kind: str, inputs: dict, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        Graph(INFO).add(kind, column=0, **inputs)


def test_wrong_output_is_told(graph: Graph) -> None:
    with pytest.raises(GraphError, match="no output 'VAE'"):
        graph.nodes[0]["VAE"]
    with pytest.raises(GraphError, match="none numbered 2"):
        graph.nodes[0][2]
