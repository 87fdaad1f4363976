"""The form of a graph that opens in ComfyUI's window: places, frames, notes, subgraphs, what is seen at first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .forms import Graph, Link
from .litegraph import GAP, TITLE, WIDTH, Place, Wire, attach, draw, height, slot_of, stacked, wires
from .subgraphs import Subgraph

NOTE = 276  # a note's height with its title
PADDING, HEADING = 9, TITLE + 34  # of a frame: around its nodes, and above them
COLOURS = {"Encode": "#3f789e", "File": "#b58b2a", "Decode": "#8a8"}
SCREEN, CORNER = (1440 - 90, 900 - 130), (70, 90)  # what the window's bars leave of a usual screen, and from where
LARGEST = 0.8  # nothing is shown larger at first


def drawing(graph: Graph) -> dict[str, Any]:
    """The form of ``graph`` that the window opens."""
    names = dict.fromkeys(node.inside for node in graph.nodes if node.inside)
    subgraphs = [Subgraph(graph, name, len(graph.nodes) + 1 + place) for place, name in enumerate(names)]
    outer = [node for node in graph.nodes if not node.inside]
    # In the order of the description, in which a subgraph stands where its first node does.
    boxes = {node.id: (node.column, node.id, height(node), node.group) for node in outer}
    for sub in subgraphs:
        boxes[sub.first.id] = (sub.first.column, sub.number, sub.height(), sub.first.group)
    sized = [boxes[key] for key in sorted(boxes)]
    first_note = len(graph.nodes) + len(subgraphs) + 1
    notes = {first_note + place: note for place, note in enumerate(graph.notes)}
    heads, feet = ([(column, number, NOTE) for number, (column, _, low) in notes.items() if low is foot]
                   for foot in (False, True))  # fmt: skip
    stacks = [*heads, *(box[:3] for box in sized), *feet]
    places, heights = stacked(stacks), {number: high for _, number, high in stacks}
    places |= {number: (places[number][0], places[number][1] + GAP) for _, number, _ in feet}

    drawn = {node.id: draw(node, places[node.id], order) for order, node in enumerate(outer)}
    for (number, widget), called in graph.app[0].items():
        if called:
            drawn[number]["inputs"][slot_of(drawn[number], widget)]["label"] = called
    drawn |= {sub.number: sub.node(places[sub.number], len(outer) + place) for place, sub in enumerate(subgraphs)}
    links: list[list[Any]] = []
    for wire in [*wires(outer, drawn), *_border(graph, subgraphs, drawn)]:
        links.append([len(links) + 1, *wire.origin, *wire.target, wire.kind])
        attach(drawn, wire, len(links))
    groups = _frames(sized, places)
    return {
        "last_node_id": first_note + len(notes) - 1,
        "last_link_id": len(links),
        "nodes": [*drawn.values(), *(_note(number, places[number], text) for number, (_, text, _) in notes.items())],
        "links": links,
        "groups": groups,
        **({"definitions": {"subgraphs": [sub.definition() for sub in subgraphs]}} if subgraphs else {}),
        "config": {},
        "extra": {"ds": _view(groups, places, heights), **_app(graph)},
        "version": 0.4,
    }


def blueprint(graph: Graph, name: str, title: str, sentence: str, exposed: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """One subgraph of ``graph`` alone, as the window's library of subgraphs reads it.

    Args:
        graph: the description that holds it.
        name: of the subgraph in ``graph``; title: what the library calls it; sentence: what it does.
        exposed: (title of a node inside, widget) that it shows.
    """
    sub = Subgraph(graph, name, len(graph.nodes) + 1)
    numbers = {node.title: str(node.id) for node in sub.nodes}
    sub.title, sub.exposed = title, [(numbers[node], key) for node, key in exposed]
    return {
        "last_node_id": sub.number,
        "last_link_id": 0,
        "nodes": [sub.node((0, 0), 0)],
        "links": [],
        "groups": [],
        "definitions": {"subgraphs": [sub.definition()]},
        "config": {},
        "extra": {"BlueprintDescription": sentence},
        "version": 0.4,
    }


def _border(graph: Graph, subgraphs: list[Subgraph], drawn: dict[int, dict[str, Any]]) -> Iterator[Wire]:
    """The wires that begin or end at a subgraph."""
    made = {(port.source.node, port.source.slot): (sub.number, place)
            for sub in subgraphs for place, port in enumerate(sub.outputs)}  # fmt: skip

    def wire(source: Link, target: tuple[int, int]) -> Wire:
        origin = made.get((source.node, source.slot), (source.node, source.slot))
        return Wire(origin, target, drawn[origin[0]]["outputs"][origin[1]]["type"])

    for sub in subgraphs:
        for slot, port in enumerate(sub.inputs):
            yield wire(port.source, (sub.number, slot))
    for node in graph.nodes:
        for name, value in node.inputs.items() if not node.inside else ():
            if isinstance(value, Link) and (value.node, value.slot) in made:
                yield wire(value, (node.id, slot_of(drawn[node.id], name)))


def _frames(boxes: list[tuple[int, int, int, str]], places: dict[int, Place]) -> list[dict[str, Any]]:
    """A frame around each group's nodes; all as high as the highest."""
    names = [*dict.fromkeys(group for *_, group in boxes if group)]
    tops = [places[number][1] for _, number, _, _ in boxes]
    bottom = max((places[number][1] + high - TITLE for _, number, high, _ in boxes), default=0)
    frames = []
    for number, name in enumerate(names):
        columns = [places[box[1]][0] for box in boxes if box[3] == name]
        left, top = min(columns) - PADDING, min(tops) - HEADING
        size = [max(columns) + WIDTH + PADDING - left, bottom + PADDING - top]
        colour = COLOURS.get(name, "#a1309b")
        frames.append(
            {"id": number + 1, "title": name, "bounding": [left, top, *size], "color": colour, "font_size": 24}
            | {"flags": {}}
        )
    return frames


def _note(number: int, position: Place, text: str) -> dict[str, Any]:
    return {
        "id": number,
        "type": "MarkdownNote",
        "pos": list(position),
        "size": [WIDTH, NOTE - TITLE],
        "flags": {},
        "order": number - 1,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "title": "Read me",
        "properties": {},
        "widgets_values": [text],
    }


def _view(groups: list[dict[str, Any]], places: dict[int, Place], heights: dict[int, int]) -> dict[str, Any]:
    """Scale and offset at which all of the graph is seen on a usual screen."""
    boxes = [(x, y, x + WIDTH, y + heights[number] - TITLE) for number, (x, y) in places.items()]
    boxes += [(x, y, x + wide, y + high) for x, y, wide, high in (group["bounding"] for group in groups)]
    left, top = (min(box[axis] for box in boxes) for axis in (0, 1))
    wide, high = max(box[2] for box in boxes) - left, max(box[3] for box in boxes) - top
    scale = min(LARGEST, SCREEN[0] / wide, SCREEN[1] / high)
    return {"scale": round(scale, 3), "offset": [round(CORNER[0] / scale - left), round(CORNER[1] / scale - top)]}


def _app(graph: Graph) -> dict[str, Any]:
    """What the window's app mode shows: chosen widgets and results; empty for an ordinary graph."""
    chosen, results = graph.app
    if not results:
        return {}
    inputs = [[str(number), widget] for number, widget in chosen]
    return {"linearMode": True, "linearData": {"inputs": inputs, "outputs": [str(node.id) for node in results]}}
