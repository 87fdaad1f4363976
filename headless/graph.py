"""Graphs in ComfyUI's API form: reading them, finding nodes in them, changing inputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import HeadlessError

# Which input of which node takes an uploaded file.
FILE_INPUTS = {"LoadImage": "image", "LoadImageMask": "image", "SEDIC_LoadBitstream": "file"}


class GraphError(HeadlessError):
    """A graph, or what is asked of it, cannot be used."""


def read_workflow(path: Path) -> dict[str, Any]:
    """Reads a graph in API form.

    Raises:
        GraphError: unreadable, or not in that form.
    """
    try:
        workflow = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GraphError(f"The graph {path} cannot be read ({error}); name a JSON file.") from error
    if not isinstance(workflow, dict) or not all(isinstance(n, dict) and "class_type" in n for n in workflow.values()):
        raise GraphError(f"The graph {path} is not in API form; export it with Workflow, Export (API) in ComfyUI.")
    return workflow


def title(workflow: dict[str, Any], node: str) -> str:
    """What a person calls a node of an API-form graph: its title, else its class."""
    entry = workflow[node]
    return (entry.get("_meta") or {}).get("title") or entry.get("class_type", node)


def find_node(workflow: dict[str, Any], name: str) -> str:
    """The id of the node with this id, title or class.

    Raises:
        GraphError: none or several have it.
    """
    if name in workflow:
        return name
    found = [n for n in workflow if name in (title(workflow, n), workflow[n].get("class_type"))]
    if len(found) != 1:
        names = ", ".join(f"{n} ({title(workflow, n)})" for n in workflow)
        raise GraphError(f"{len(found)} nodes are called {name!r}; the graph has {names}.")
    return found[0]


def set_input(workflow: dict[str, Any], assignment: str) -> None:
    """Sets an input from ``NODE.INPUT=VALUE``; VALUE is read as JSON, else as plain text.

    Raises:
        GraphError: not of that form, or the graph has no such node or input.
    """
    place, equals, text = assignment.partition("=")
    name, dot, key = place.rpartition(".")
    if not (equals and dot):
        raise GraphError(f"{assignment!r} sets nothing; write NODE.INPUT=VALUE.")
    inputs = workflow[find_node(workflow, name)]["inputs"]
    if key not in inputs:
        raise GraphError(f"The node {name!r} has no input {key!r}; it has {', '.join(inputs)}.")
    try:
        inputs[key] = json.loads(text)
    except json.JSONDecodeError:
        inputs[key] = text


def loading_inputs(workflow: dict[str, Any], files: Sequence[str]) -> list[tuple[str, str, Path]]:
    """Which file goes where, as (node id, input, file), for ``files``, each ``FILE`` or ``NODE=FILE``.

    A FILE without a node goes to the next loading node: a ``.sedic`` to LoadBitstream, a picture to LoadImage.

    Raises:
        GraphError: more files than loading nodes, or a node that loads none.
    """
    found: list[tuple[str, str, Path]] = []
    for text in files:
        name, equals, path = text.partition("=")
        if equals and not Path(text).exists():
            node = find_node(workflow, name)
        else:
            path = text
            wanted = "SEDIC_LoadBitstream" if path.endswith(".sedic") else "LoadImage"
            taken = {node for node, _, _ in found}
            free = [n for n in workflow if workflow[n].get("class_type") == wanted and n not in taken]
            if not free:
                raise GraphError(f"The graph has no {wanted} node left for {path}; name a node: NODE={path}.")
            node = free[0]
        key = FILE_INPUTS.get(workflow[node].get("class_type", ""))
        if key is None:
            raise GraphError(f"The node {title(workflow, node)!r} loads no file; it cannot take {path}.")
        found.append((node, key, Path(path)))
    return found


def why_invalid(body: bytes, titles: dict[str, str]) -> str:
    """One sentence from the server's answer to a graph that it refused."""
    try:
        answer = json.loads(body)
    except json.JSONDecodeError:
        return f"The server refused the graph: {body[:200].decode(errors='replace')}"
    found = []
    for node, problems in (answer.get("node_errors") or {}).items():
        for problem in problems.get("errors", []):
            key = (problem.get("extra_info") or {}).get("input_name")
            where = titles.get(node, node) + (f", input {key}" if key else "")
            details = problem.get("details") or ""
            found.append(f"{where}: {problem.get('message', '')}" + (f" ({details})" if details else ""))
    if not found:
        error = answer.get("error")
        found = [error if isinstance(error, str) else " ".join(filter(None, [error["message"], error.get("details")]))]
    return "The server refused the graph: " + "; ".join(found)
