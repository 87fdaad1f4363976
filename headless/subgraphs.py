"""Nodes that the window draws as one: its subgraphs."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from .forms import Graph, Link, Node, is_widget
from .graph import GraphError
from .litegraph import AROUND, SLOT, TITLE, WIDGET, WIDTH, Place, attach, draw, height, slot_of, stacked, wires

INPUT_NODE, OUTPUT_NODE = -10, -20  # litegraph's ids of a subgraph's own two ends
ENTER = 16  # what the row to open it takes more in Nodes 2.0
NAMES = uuid.UUID("5ed1c000-0000-4000-8000-000000000000")  # the space of the subgraphs' ids


@dataclass
class Port:
    """What goes in or out of a subgraph: its name and type, the wire outside, its ends (node, input) inside."""

    name: str
    kind: str
    source: Link
    inner: list[tuple[int, str]] = field(default_factory=list)
    widget: bool = False


class Subgraph:
    """The nodes that are ``inside`` one name; wires that cross the border are its inputs and outputs.

    An input is called like the one that it feeds inside. A bypassed node hands on, for each output, the input of the
    same place where the types fit: so picture and trajectory come first on both sides, and a bypassed stage passes on
    the stage before.
    """

    FIRST = ("image", "trajectory", "previous")

    def __init__(self, graph: Graph, name: str, number: int) -> None:
        """Args: ``name``, which the nodes are ``inside`` of; ``number``, the id of the node that stands for them."""
        self.title, self.number = name, number
        self.nodes = [node for node in graph.nodes if node.inside == name]
        inner = {node.id: node for node in self.nodes}
        inputs: dict[str, Port] = {}
        outputs: dict[str, Port] = {}
        for node in self.nodes:
            for key, (kind, options, _) in node.declared().items():
                value = node.inputs.get(key)
                if not isinstance(value, Link) or value.node in inner:
                    continue
                port = inputs.setdefault(key, Port(key, kind, value, widget=is_widget(kind, options)))
                if port.source != value:
                    raise GraphError(f"The subgraph {name!r} has two inputs called {key!r}.")
                port.inner.append((node.id, key))
        taken = [value for node in graph.nodes if node.inside != name for value in node.inputs.values()]
        leaving = [value for value in taken if isinstance(value, Link) and value.node in inner]
        for value in [*leaving, *(node[key] for node in self.nodes for key in node.offers)]:
            source = inner[value.node]
            key = source.info["output_name"][value.slot]
            outputs.setdefault(key, Port(key, source.output_types()[value.slot], value))
        self.inputs, self.outputs = self._ordered(inputs), self._ordered(outputs)
        # What samples comes first: its steps are what people change.
        self.exposed = [(str(node.id), key) for node in reversed(self.nodes) for key in node.exposes]

    def _ordered(self, ports: dict[str, Port]) -> list[Port]:
        return [ports[name] for name in sorted(ports, key=lambda name: (name not in self.FIRST, name == "previous"))]

    @property
    def first(self) -> Node:
        """The node that says in which column and frame the subgraph stands."""
        return self.nodes[0]

    @property
    def id(self) -> str:
        """Of its definition: the same at each build."""
        return str(uuid.uuid5(NAMES, self.title))

    def height(self) -> int:
        """How tall its node is drawn."""
        slots = sum(not port.widget for port in self.inputs)
        widgets = len(self.exposed) + len(self.inputs) - slots
        return TITLE + SLOT * max(slots, len(self.outputs)) + WIDGET * widgets + AROUND + ENTER

    def node(self, position: Place, order: int) -> dict[str, Any]:
        """The node that stands for it, its wires still missing."""
        return {
            "id": self.number,
            "type": self.id,
            "pos": list(position),
            "size": [WIDTH, self.height() - TITLE],
            "flags": {},
            "order": order,
            "mode": 0,
            "inputs": [
                {"name": port.name, "type": port.kind, "link": None}
                | ({"widget": {"name": port.name}} if port.widget else {})
                for port in self.inputs
            ],
            "outputs": [{"name": port.name, "type": port.kind, "links": []} for port in self.outputs],
            "title": self.title,
            "properties": {"proxyWidgets": [list(pair) for pair in self.exposed]},
            "widgets_values": [],
        }

    def definition(self) -> dict[str, Any]:
        """Its inside, as ``definitions.subgraphs`` holds it."""
        depths = self._depths()
        places = stacked(((depths[node.id], node.id, height(node)) for node in self.nodes), left=200)
        drawn = {node.id: draw(node, places[node.id], order) for order, node in enumerate(self.nodes)}
        links: list[dict[str, Any]] = []

        def link(origin: tuple[int, int], target: tuple[int, int], kind: str) -> int:
            ends = {"origin_id": origin[0], "origin_slot": origin[1], "target_id": target[0], "target_slot": target[1]}
            links.append({"id": len(links) + 1, **ends, "type": kind})
            return len(links)

        for wire in [*wires(self.nodes, drawn)]:
            attach(drawn, wire, link(wire.origin, wire.target, wire.kind))
        incoming, outgoing = [], []
        for place, port in enumerate(self.inputs):
            ids = []
            for number, key in port.inner:
                slot = slot_of(drawn[number], key)
                ids.append(link((INPUT_NODE, place), (number, slot), port.kind))
                drawn[number]["inputs"][slot]["link"] = ids[-1]
            incoming.append(self._port("input", port, ids))
        for place, port in enumerate(self.outputs):
            ids = [link((port.source.node, port.source.slot), (OUTPUT_NODE, place), port.kind)]
            drawn[port.source.node]["outputs"][port.source.slot]["links"] += ids
            outgoing.append(self._port("output", port, ids))
        right = max(x for x, _ in places.values()) + WIDTH + 80
        return {
            "id": self.id,
            "version": 1,
            "state": {"lastGroupId": 0, "lastNodeId": self.nodes[-1].id, "lastLinkId": len(links), "lastRerouteId": 0},
            "revision": 0,
            "config": {},
            "name": self.title,
            "inputNode": {"id": INPUT_NODE, "bounding": [0, 0, 120, SLOT * len(incoming) + 40]},
            "outputNode": {"id": OUTPUT_NODE, "bounding": [right, 0, 120, SLOT * len(outgoing) + 40]},
            "inputs": incoming,
            "outputs": outgoing,
            "widgets": [],
            "nodes": [*drawn.values()],
            "groups": [],
            "links": links,
            "extra": {},
        }

    def _depths(self) -> dict[int, int]:
        """How many nodes inside come before each one, along the longest way: its column there."""
        depths: dict[int, int] = {}
        for node in self.nodes:
            before = [depths[v.node] for v in node.inputs.values() if isinstance(v, Link) and v.node in depths]
            depths[node.id] = max(before, default=-1) + 1
        return depths

    def _port(self, side: str, port: Port, links: list[int]) -> dict[str, Any]:
        number = uuid.uuid5(NAMES, f"{self.title} {side} {port.name}")
        return {"id": str(number), "name": port.name, "type": port.kind, "linkIds": links}
