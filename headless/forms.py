"""One description of a graph: its nodes and wires, and ComfyUI's API form of them (what runs).

    graph = Graph(object_info)
    image = graph.add("LoadImage", "Original", column=0, image="coffee.png")
    graph.add("PreviewImage", "Look", column=1, images=image[0])
    graph.api()
    drawing.drawing(graph)

The form that opens in a window is made of the same description by :mod:`.drawing`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .graph import GraphError

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}


@dataclass(frozen=True)
class Link:
    """An output of a node: the node's id and the output's place."""

    node: int
    slot: int


@dataclass
class Node:
    """A node of a graph; ``node[0]`` or ``node["MASK"]`` is one of its outputs, to be given to another's input.

    Attributes:
        column: its place from left to right; nodes of one column stand below one another.
        group: the frame that it stands in, "" for none.
        shows: what it shows inside itself: a "picture", a "picture with text", "text", "files" or a "comparison" with
            text, or nothing.
        inside: the subgraph that it belongs to in the window, "" for none.
        exposes, offers: widgets that its subgraph shows; outputs that it has even where nothing is wired to them.
        models: files that it loads, as ``properties.models`` of the window's dialog of missing models.
    """

    id: int
    kind: str
    title: str
    info: dict[str, Any]
    inputs: dict[str, Any]
    column: int
    group: str = ""
    shows: str = ""
    inside: str = ""
    exposes: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    models: tuple[dict[str, str], ...] = ()

    def __getitem__(self, output: int | str) -> Link:
        names = [*self.info["output_name"]]
        if isinstance(output, int):
            if not 0 <= output < len(names):
                raise GraphError(f"{self.kind} has {len(names)} outputs, none numbered {output}.")
            return Link(self.id, output)
        for listed in (names, self.output_types()):
            if output in listed:
                return Link(self.id, listed.index(output))
        raise GraphError(f"{self.kind} has no output {output!r}; it has {', '.join(names)}.")

    def output_types(self) -> list[str]:
        """The types of its outputs, a list of choices as COMBO."""
        return [kind if isinstance(kind, str) else "COMBO" for kind in self.info["output"]]

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


@dataclass
class Graph:
    """Nodes with their wires, on the nodes that ``object_info`` (a server's ``/object_info``) declares.

    Attributes:
        notes: (column, Markdown, whether at the column's foot instead of its head); only the window has them.
        app: widgets of the window's app mode as (node, widget) to what they are called there, and the nodes whose
            results it shows; empty for none.
    """

    object_info: dict[str, Any]
    nodes: list[Node] = field(default_factory=list)
    notes: list[tuple[int, str, bool]] = field(default_factory=list)
    app: tuple[dict[tuple[int, str], str], list[Node]] = field(default_factory=lambda: ({}, []))

    def note(self, text: str, column: int, foot: bool = False) -> None:
        """Puts a note (Markdown) at the head of a column, or at its foot."""
        self.notes.append((column, text, foot))

    def add(self, kind: str, title: str = "", /, *, column: int, group: str = "", shows: str = "", inside: str = "",
            exposes: tuple[str, ...] = (), offers: tuple[str, ...] = (), models: tuple[dict[str, str], ...] = (),
            **inputs: Any) -> Node:  # fmt: skip
        """Adds a node.

        Args:
            kind: its class.
            title: what a person calls it, default its display name.
            column, group, shows, inside, exposes, offers, models: see :class:`Node`.
            inputs: values, or outputs of other nodes; a missing one that has a default gets it.

        Raises:
            GraphError: no such node or input, or an input without default left out.
        """
        if kind not in self.object_info:
            raise GraphError(f"The server has no node {kind}; its log says why, if this pack should bring it.")
        info = self.object_info[kind]
        name = title or info.get("display_name") or kind
        node = Node(len(self.nodes) + 1, kind, name, info, {}, column, group, shows, inside, exposes, offers, models)
        declared = node.declared()
        for name in (*inputs, *exposes):
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
