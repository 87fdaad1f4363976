"""The wires of a graph in the window's form as they are without its subgraphs."""

from __future__ import annotations

from typing import Any

Wire = tuple[str, str, tuple[str, int]]


def wires_of(form: dict[str, Any]) -> set[Wire]:
    """(node, input, (node, output)) of every wire, with subgraphs opened."""
    definitions = {entry["id"]: entry for entry in form.get("definitions", {}).get("subgraphs", [])}
    outer = {node["id"]: node for node in form["nodes"]}
    into = {(link[3], link[4]): (link[1], link[2]) for link in form["links"]}
    found: set[Wire] = set()

    def source(end: tuple[int, int]) -> tuple[str, int]:
        node = outer[end[0]]
        if node["type"] not in definitions:
            return str(end[0]), end[1]
        for link in definitions[node["type"]]["links"]:
            if (link["target_id"], link["target_slot"]) == (-20, end[1]):
                return str(link["origin_id"]), link["origin_slot"]
        raise AssertionError(f"nothing comes out of {node['title']} at {end[1]}")

    for target, slot in into:
        node = outer[target]
        if node["type"] not in definitions:
            found.add((str(target), node["inputs"][slot]["name"], source(into[target, slot])))
    for number, node in outer.items():
        definition = definitions.get(node["type"])
        if definition is None:
            continue
        inner = {entry["id"]: entry for entry in definition["nodes"]}
        for link in definition["links"]:
            if link["target_id"] == -20:
                continue
            name = inner[link["target_id"]]["inputs"][link["target_slot"]]["name"]
            outside = link["origin_id"] == -10
            begin = into.get((number, link["origin_slot"])) if outside else None
            if outside and begin is None:
                continue
            ends = (str(link["origin_id"]), link["origin_slot"]) if begin is None else source(begin)
            found.add((str(link["target_id"]), name, ends))
    return found
