"""The window's form of a graph says what the API form says: wires, values, subgraphs, app mode, what is seen first."""

from __future__ import annotations

from typing import Any

import pytest

from headless.drawing import SCREEN, blueprint, drawing
from headless.forms import Graph
from headless.graph import GraphError
from headless.subgraphs import Subgraph

from .flat import wires_of
from .small_graph import INFO, small

STAGE = {
    "Stage": {
        "display_name": "Stage",
        "input": {
            "required": {
                "model": ["MODEL", {}],
                "image": ["IMAGE", {}],
                "previous": ["LATENT,IMAGE", {}],
                "seed": ["INT", {"default": 0}],
                "steps": ["INT", {"default": 2}],
            }
        },
        "output": ["LATENT", "TRAJECTORY", "IMAGE"],
        "output_name": ["latent", "trajectory", "image"],
    },
    "Models": {"display_name": "Models", "input": {}, "output": ["MODEL", "INT"], "output_name": ["MODEL", "seed"]},
    "Show": {"display_name": "Show", "input": {"required": {"image": ["IMAGE", {}]}}, "output": [], "output_name": []},
}


def staged() -> Graph:
    """A picture, a stage that the window draws as a subgraph, and what shows its result."""
    graph = Graph({**INFO, **STAGE})
    load = graph.add("Load", "Original", column=0, group="In", image="a.png")
    models = graph.add("Models", column=0, group="In")
    stage = graph.add(
        "Stage", "Sample", column=1, group="Out", inside="Restore", exposes=("steps",), offers=("trajectory",),
        model=models["MODEL"], image=load["picture"], previous=load["picture"], seed=models["seed"],
    )  # fmt: skip
    graph.add("Show", column=2, group="Out", image=stage["image"])
    return graph


@pytest.mark.parametrize("graph", [small(), staged()], ids=["plain", "with a subgraph"])
def test_the_window_has_the_wires_of_the_api_form_and_no_other(graph: Graph) -> None:
    assert graph.nodes
    expected = {
        (node, name, (str(value[0]), value[1]))
        for node, entry in graph.api().items()
        for name, value in entry["inputs"].items()
        if isinstance(value, list)
    }
    assert wires_of(drawing(graph)) == expected


def test_slots_know_their_links() -> None:
    form = drawing(staged())
    drawn = {node["id"]: node for node in form["nodes"]}
    for link, source, slot, target, place, kind in form["links"]:
        assert drawn[target]["inputs"][place]["link"] == link
        assert link in drawn[source]["outputs"][slot]["links"]
        assert drawn[source]["outputs"][slot]["type"] == kind


def test_widget_values_stand_in_the_order_of_declaration_with_the_windows_own() -> None:
    load, sample = drawing(small())["nodes"]
    assert load["widgets_values"] == ["b.png", "image"]
    assert sample["widgets_values"] == [4, 7, "fixed", "euler", ""]
    assert [i["name"] for i in sample["inputs"]] == ["image", "mask", "sigma", "steps", "seed", "sampler", "text"]


def test_groups_frame_their_nodes_and_do_not_overlap() -> None:
    first, second = drawing(small())["groups"]
    assert [first["title"], second["title"]] == ["In", "Out"]
    assert first["bounding"][0] + first["bounding"][2] < second["bounding"][0]


def test_a_bypassed_subgraph_hands_picture_and_previous_on() -> None:
    """The window's rule: of an output, the input of the same place where the types fit."""
    sub = Subgraph(staged(), "Restore", 9)
    assert [(port.name, port.kind) for port in sub.outputs] == [("image", "IMAGE"), ("trajectory", "TRAJECTORY")]
    assert [port.name for port in sub.inputs][:2] == ["image", "previous"]


def test_a_subgraph_shows_the_widgets_that_its_nodes_expose() -> None:
    graph = staged()
    (node,) = [node for node in drawing(graph)["nodes"] if node["title"] == "Restore"]
    assert node["properties"]["proxyWidgets"] == [["3", "steps"]]
    assert [entry["name"] for entry in node["inputs"] if "widget" in entry] == ["seed"]


def test_two_sources_of_one_input_are_told() -> None:
    graph = staged()
    other, models = graph.add("Load", column=0), graph.nodes[1]
    graph.add(
        "Stage", "Again", column=1, inside="Restore",
        model=models["MODEL"], image=graph.nodes[2]["image"], previous=other["picture"], seed=1,
    )  # fmt: skip
    with pytest.raises(GraphError, match="two inputs called 'previous'"):
        drawing(graph)


def test_a_blueprint_is_one_node_with_its_definition_and_nothing_wired() -> None:
    form = blueprint(staged(), "Restore", "Restore object", "What it does.", [("Sample", "steps")])
    (node,), (inside,) = form["nodes"], form["definitions"]["subgraphs"]
    assert node["type"] == inside["id"] != drawing(staged())["definitions"]["subgraphs"][0]["id"]
    assert not form["links"]
    assert inside["name"] == node["title"] == "Restore object"


def test_app_mode_names_widgets_and_results() -> None:
    graph = small()
    load, sample = graph.nodes
    graph.app = ({(load.id, "image"): "picture"}, [sample])
    form = drawing(graph)
    assert form["extra"]["linearMode"] is True
    assert form["extra"]["linearData"] == {"inputs": [["1", "image"]], "outputs": ["2"]}
    assert form["nodes"][0]["inputs"][0]["label"] == "picture"
    assert "linearMode" not in drawing(small())["extra"]


def test_all_is_on_the_screen_at_first() -> None:
    graph = staged()
    graph.note("Read me", column=0)
    form: dict[str, Any] = drawing(graph)
    scale, offset = form["extra"]["ds"]["scale"], form["extra"]["ds"]["offset"]
    for node in form["nodes"]:
        for axis in (0, 1):
            start = (node["pos"][axis] + offset[axis]) * scale
            assert start >= 0
            assert start + node["size"][axis] * scale <= SCREEN[axis] + 100
