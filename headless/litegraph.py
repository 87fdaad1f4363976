"""Nodes and wires as ComfyUI's window keeps them: litegraph's version 0.4.

Slots, links and widget values have to stand in the order in which the nodes declare them, which the server's
``/object_info`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .forms import Link, Node, default_of, is_widget

# Sizes in the window's pixels: a title bar, a slot, a widget, a text box, one whose text comes through a wire, what a
# node shows inside itself; what the rows around them take, and the least of a node with a widget. All in Nodes 2.0,
# which is the roomier one.
TITLE, SLOT, WIDGET, TEXT_BOX, WIRED_BOX = 30, 20, 24, 84, 68
ROOM = {"": 0, "picture": 210, "picture with text": 270, "text": 100, "files": 140, "comparison": 340}
AROUND, LEAST = 46, 110
# Narrow, as the window opens a template at three quarters of the screen, and hides all words below a scale of 0.571.
WIDTH, GAP, ROW_GAP = 214, 22, 6

Place = tuple[int, int]


@dataclass(frozen=True)
class Wire:
    """A wire between drawn nodes: (id, slot) of its two ends, and the type that flows."""

    origin: tuple[int, int]
    target: tuple[int, int]
    kind: str


def height(node: Node) -> int:
    """How tall a node is drawn, its title included."""
    declared = node.declared()
    widgets = {name: options for name, (kind, options, _) in declared.items() if is_widget(kind, options)}
    slots = max(len(declared) - len(widgets), len(node.info["output"]))
    texts = [wired(node, name) for name, options in widgets.items() if options.get("multiline")]
    boxes = sum(WIRED_BOX if through else TEXT_BOX for through in texts) + WIDGET * (len(widgets) - len(texts))
    boxes += WIDGET * (uploads(node) + sum(bool(options.get("control_after_generate")) for options in widgets.values()))
    body = SLOT * slots + boxes + ROOM[node.shows] + AROUND
    return TITLE + max(body, LEAST if widgets else 0)


def wired(node: Node, name: str) -> bool:
    """Whether an input comes through a wire."""
    return isinstance(node.inputs.get(name), Link)


def uploads(node: Node) -> bool:
    """Whether the window puts its own upload button below the node's widgets."""
    return any(options.get("image_upload") for _, options, _ in node.declared().values())


def stacked(boxes: Iterable[tuple[int, int, int]], left: int = 0) -> dict[int, Place]:
    """Places of (column, id, height), below one another in their columns; a place is that below a node's title."""
    bottoms: dict[int, int] = {}
    places = {}
    for column, number, high in boxes:
        y = bottoms.get(column, 0)
        places[number] = (left + column * (WIDTH + GAP), y)
        bottoms[column] = y + high + ROW_GAP
    return places


def draw(node: Node, position: Place, order: int) -> dict[str, Any]:
    """A node as the window has it, its wires still missing."""
    sockets, widgets, values = [], [], []
    for name, (kind, options, optional) in node.declared().items():
        drawn: dict[str, Any] = {"name": name, "type": kind, "link": None}
        if optional and not is_widget(kind, options):
            drawn["shape"] = 7  # litegraph's hollow socket
        if not is_widget(kind, options):
            sockets.append(drawn)
            continue
        widgets.append({**drawn, "widget": {"name": name}})
        value = node.inputs[name]
        values.append(default_of(node.kind, name, kind, options) if isinstance(value, Link) else value)
        if options.get("control_after_generate"):
            values.append("fixed")  # the window's own widget below a seed
    if uploads(node):
        values.append("image")
    return {
        "id": node.id,
        "type": node.kind,
        "pos": list(position),
        "size": [WIDTH, height(node) - TITLE],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": sockets + widgets,
        "outputs": [
            {"name": name, "type": kind, "links": [], "slot_index": slot}
            for slot, (name, kind) in enumerate(zip(node.info["output_name"], node.output_types(), strict=True))
        ],
        "title": node.title,
        "properties": {"Node name for S&R": node.kind, **({"models": [*node.models]} if node.models else {})},
        "widgets_values": values,
    }


def slot_of(drawn: dict[str, Any], name: str) -> int:
    """The place of a drawn node's input."""
    return [entry["name"] for entry in drawn["inputs"]].index(name)


def wires(nodes: Iterable[Node], drawn: dict[int, dict[str, Any]]) -> Iterator[Wire]:
    """The wires that both begin and end among ``nodes``, in the order of their ends."""
    nodes = [*nodes]
    inner = {node.id for node in nodes}
    for node in nodes:
        for slot, entry in enumerate(drawn[node.id]["inputs"]):
            value = node.inputs.get(entry["name"])
            if isinstance(value, Link) and value.node in inner:
                kind = drawn[value.node]["outputs"][value.slot]["type"]
                yield Wire((value.node, value.slot), (node.id, slot), kind)


def attach(drawn: dict[int, dict[str, Any]], wire: Wire, link: int) -> None:
    """Writes a wire's number into the slots at its ends."""
    drawn[wire.origin[0]]["outputs"][wire.origin[1]]["links"].append(link)
    drawn[wire.target[0]]["inputs"][wire.target[1]]["link"] = link
