"""A graph's description, and the API form of it."""

from __future__ import annotations

import pytest

from headless.forms import Graph
from headless.graph import GraphError

from .small_graph import INFO, small


@pytest.fixture
def graph() -> Graph:
    """A loader whose picture and mask feed a sampler."""
    return small()


def test_api_form_holds_values_defaults_and_wires(graph: Graph) -> None:
    sample = graph.api()["2"]
    assert sample["class_type"] == "Sample"
    assert sample["_meta"] == {"title": "Sample"}
    assert sample["inputs"] == {
        "steps": 4, "image": ["1", 0], "seed": 7, "sampler": "euler", "mask": ["1", 1], "text": "",
    }  # fmt: skip


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
