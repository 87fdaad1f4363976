"""One description of a graph, two forms: ComfyUI's API form (what runs) and its UI form (what opens in a window).

    graph = Graph(object_info)
    image = graph.add("LoadImage", "Original", column=0, image="coffee.png")
    graph.add("PreviewImage", "Look", column=1, images=image[0])
    graph.api(), graph.ui()

The UI form is litegraph's version 0.4: slots, links and widget values have to stand in the order in which the
nodes declare them, so both forms are made from the server's ``/object_info``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .graph import GraphError

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
# Sizes in the window's pixels: a title bar, a slot, a widget, a text box, a picture shown inside a node.
TITLE, SLOT, WIDGET, TEXT_BOX, PICTURE = 30, 22, 26, 120, 260
WIDTH, GAP = 330, 50
GROUP_COLOURS = ("#3f789e", "#88a", "#8a8", "#b58b2a", "#a1309b", "#b06634")


@dataclass(frozen=True)
class Link:
    """An output of a node: the node's id and the output's place."""

    node: int
    slot: int


@dataclass
class Node:
    """A node of a graph; ``node[0]`` or ``node["MASK"]`` is one of its outputs, to be given to another's input."""

    id: int
    kind: str
    title: str
    info: dict[str, Any]
    inputs: dict[str, Any]
    column: int
    group: str
    shows: bool
    position: tuple[int, int] = (0, 0)

    def __getitem__(self, output: int | str) -> Link:
        names = [*self.info["output_name"]]
        if isinstance(output, int):
            if not 0 <= output < len(names):
                raise GraphError(f"{self.kind} has {len(names)} outputs, none numbered {output}.")
            return Link(self.id, output)
        for listed in (names, [t if isinstance(t, str) else "COMBO" for t in self.info["output"]]):
            if output in listed:
                return Link(self.id, listed.index(output))
        raise GraphError(f"{self.kind} has no output {output!r}; it has {', '.join(names)}.")

    def declared(self) -> dict[str, tuple[str, dict[str, Any], bool]]:
        """Its inputs in the order of their declaration: name to (type, options, whether optional)."""
        found = {}
        for part in ("required", "optional"):
            for name, spec in (self.info["input"].get(part) or {}).items():
                kind, options = spec[0], (spec[1] if len(spec) > 1 else {}) or {}
                if isinstance(kind, list):  # the older way to write a COMBO
                    kind, options = "COMBO", {**options, "options": kind}
                found[name] = (kind, options, part == "optional")
        return found

    def height(self) -> int:
        """How tall it is drawn."""
        declared = self.declared().values()
        widgets = [options for kind, options, _ in declared if is_widget(kind, options)]
        slots = max(len(declared) - len(widgets), len(self.info["output"]))
        boxes = sum(TEXT_BOX if options.get("multiline") else WIDGET for options in widgets)
        return TITLE + SLOT * slots + boxes + (PICTURE if self.shows else 0) + 10


@dataclass
class Graph:
    """Nodes with their wires, on the nodes that ``object_info`` (a server's ``/object_info``) declares."""

    object_info: dict[str, Any]
    nodes: list[Node] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)

    def note(self, text: str, column: int) -> None:
        """Puts a note (Markdown) above a column; only the window's form has it."""
        self.notes.append((column, text))

    def add(
        self, kind: str, title: str = "", /, *, column: int, group: str = "", shows: bool = False, **inputs: Any
    ) -> Node:
        """Adds a node.

        Args:
            kind: its class.
            title: what a person calls it, default its display name.
            column: its place from left to right; nodes of one column stand below one another.
            group: the frame that it stands in, "" for none.
            shows: whether it shows a picture inside itself.
            inputs: values, or outputs of other nodes; a missing one that has a default gets it.

        Raises:
            GraphError: no such node or input, or an input without default left out.
        """
        if kind not in self.object_info:
            raise GraphError(f"The server has no node {kind}; its log says why, if this pack should bring it.")
        info = self.object_info[kind]
        node = Node(
            len(self.nodes) + 1, kind, title or info.get("display_name") or kind, info, {}, column, group, shows
        )
        declared = node.declared()
        for name in inputs:
            if name not in declared:
                raise GraphError(f"{kind} has no input {name!r}; it has {', '.join(declared)}.")
        for name, (type_, options, optional) in declared.items():
            if name in inputs:
                node.inputs[name] = inputs[name]
            elif is_widget(type_, options):
                node.inputs[name] = default_of(kind, name, type_, options)
            elif not optional:
                raise GraphError(f"{kind} needs its input {name!r}.")
        self.nodes.append(node)
        return node

    def api(self) -> dict[str, Any]:
        """The form that ``POST /prompt`` takes."""
        return {
            str(node.id): {
                "class_type": node.kind,
                "inputs": {
                    name: [str(value.node), value.slot] if isinstance(value, Link) else value
                    for name, value in node.inputs.items()
                },
                "_meta": {"title": node.title},
            }
            for node in self.nodes
        }

    def ui(self) -> dict[str, Any]:
        """The form that the window opens."""
        self._place()
        links: list[list[Any]] = []
        drawn = {node.id: self._draw(node) for node in self.nodes}
        for node in self.nodes:
            for slot, drawn_input in enumerate(drawn[node.id]["inputs"]):
                value = node.inputs.get(drawn_input["name"])
                if isinstance(value, Link):
                    link = len(links) + 1
                    output = drawn[value.node]["outputs"][value.slot]
                    links.append([link, value.node, value.slot, node.id, slot, output["type"]])
                    output["links"].append(link)
                    drawn_input["link"] = link
        notes = [self._draw_note(number, *note) for number, note in enumerate(self.notes, len(self.nodes) + 1)]
        return {
            "last_node_id": len(self.nodes) + len(notes),
            "last_link_id": len(links),
            "nodes": [*drawn.values(), *notes],
            "links": links,
            "groups": self._groups(),
            "config": {},
            "extra": {"ds": {"scale": 0.6, "offset": [60, 120]}},
            "version": 0.4,
        }

    def _place(self) -> None:
        bottom: dict[int, int] = {}
        for node in self.nodes:
            y = bottom.get(node.column, 0)
            node.position = (node.column * (WIDTH + GAP), y)
            bottom[node.column] = y + node.height() + GAP

    def _draw(self, node: Node) -> dict[str, Any]:
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
        if any(options.get("image_upload") for _, options, _ in node.declared().values()):
            values.append("image")  # the window's own upload button, below all others
        types = [kind if isinstance(kind, str) else "COMBO" for kind in node.info["output"]]
        return {
            "id": node.id,
            "type": node.kind,
            "pos": list(node.position),
            "size": [WIDTH, node.height()],
            "flags": {},
            "order": node.id - 1,
            "mode": 0,
            "inputs": sockets + widgets,
            "outputs": [
                {"name": name, "type": kind, "links": [], "slot_index": slot}
                for slot, (name, kind) in enumerate(zip(node.info["output_name"], types, strict=True))
            ],
            "title": node.title,
            "properties": {"Node name for S&R": node.kind},
            "widgets_values": values,
        }

    @staticmethod
    def _draw_note(number: int, column: int, text: str) -> dict[str, Any]:
        size = [2 * WIDTH + GAP, 200]
        return {
            "id": number,
            "type": "MarkdownNote",
            "pos": [column * (WIDTH + GAP), -size[1] - 140],
            "size": size,
            "flags": {},
            "order": number - 1,
            "mode": 0,
            "inputs": [],
            "outputs": [],
            "title": "Read me",
            "properties": {},
            "widgets_values": [text],
        }

    def _groups(self) -> list[dict[str, Any]]:
        groups = []
        for number, title in enumerate(dict.fromkeys(node.group for node in self.nodes if node.group)):
            members = [node for node in self.nodes if node.group == title]
            left = min(node.position[0] for node in members) - 15
            top = min(node.position[1] for node in members) - TITLE - 45
            right = max(node.position[0] for node in members) + WIDTH + 15
            bottom = max(node.position[1] + node.height() for node in members) + 15
            groups.append(
                {
                    "id": number + 1,
                    "title": title,
                    "bounding": [left, top, right - left, bottom - top],
                    "color": GROUP_COLOURS[number % len(GROUP_COLOURS)],
                    "font_size": 24,
                    "flags": {},
                }
            )
        return groups


def is_widget(kind: str, options: dict[str, Any]) -> bool:
    """Whether the window draws an input of this type as a widget."""
    return kind in WIDGET_TYPES and not options.get("forceInput")


def default_of(node: str, name: str, kind: str, options: dict[str, Any]) -> Any:
    """The value that a widget has before anyone touches it.

    Raises:
        GraphError: a number without default.
    """
    if "default" in options:
        return options["default"]
    if kind == "COMBO":
        choices = options.get("options") or [""]
        return choices[0]
    if kind in ("STRING", "BOOLEAN"):
        return "" if kind == "STRING" else False
    raise GraphError(f"{node}'s input {name!r} has no default; give it a value.")
