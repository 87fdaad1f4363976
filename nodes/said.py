"""What a node has to say in the window: words, the bar of its bytes, two pictures to compare.

ComfyUI's front end draws the text of its own nodes only, so web/js/said.js draws this. It is no part of a saved graph.
Cores differ in what they send for nodes whose results they kept, and none sends anything when a page is loaded again;
so the last words are kept here, by what the node was given, and the window asks for them.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from comfy_api.latest import ui
from comfy_execution.utils import get_executing_context

from .server import Graph, running_node, running_server

MOST_KEPT = 1000
_kept: OrderedDict[str, tuple[tuple[str, str], dict[str, Any]]] = OrderedDict()


class Said(ui.PreviewText):
    """A node's ``ui``: ``text`` as clients of the API read it, and what the window draws."""

    def __init__(self, text: str, said: dict[str, Any], shown: Mapping[str, Any]) -> None:
        """See :func:`says`."""
        super().__init__(text)
        self._rest = {**shown, "sedic_said": (said,)}

    def as_dict(self) -> dict[str, Any]:
        """What the core sends."""
        return {**self._rest, **super().as_dict()}


def says(
    text: str,
    *,
    told: str | None = None,
    parts: Mapping[str, int] | None = None,
    target: int = 0,
    compare: Sequence[Mapping[str, str]] = (),
    **shown: Any,
) -> Said:
    """What a node returns as its ``ui``.

    Args:
        text: what a client of the API reads under ``text``.
        told: the same for a person's eyes, where that reads otherwise.
        parts: bytes of the parts of a file by name; target: the most that they may be together, 0 for any number.
        compare: pictures as :func:`.images.kept_for_window` gives them, the last one to be compared with the others.
        shown: what else clients of the API find, such as files.
    """
    said = {"text": text if told is None else told, "target": target, "compare": list(compare)}
    said["parts"] = [{"name": name, "bytes": size} for name, size in (parts or {}).items()]
    answer = Said(text, said, shown)
    running, context = running_node(), get_executing_context()
    if running is not None and context is not None:
        node, graph = running
        _keep(contents(graph)[node], (context.prompt_id, node), answer.as_dict())
    return answer


def joined(shown: Sequence[Said | Mapping[str, Any]]) -> Said | Mapping[str, Any] | None:
    """What is said of several pictures, one after the other, as the core joins it; of one as it is, None of nothing."""
    if len(shown) == 1:
        return shown[0]
    parts = [dict(each) if isinstance(each, Mapping) else each.as_dict() for each in shown]
    return {name: [entry for each in parts for entry in each[name]] for name in parts[0]} if parts else None


def _keep(content: str, run: tuple[str, str], said: dict[str, Any]) -> None:
    """Remembers what a node said; of a list of pictures it says something for each, in one run."""
    before = _kept.pop(content, None)
    if before is not None and before[0] == run:
        said = {name: [*before[1].get(name, ()), *said[name]] for name in said}
    _kept[content] = run, said
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)


def said_before(nodes: Graph) -> dict[str, dict[str, Any]]:
    """What the nodes of a graph in API form said when they last ran on exactly this, by node."""
    return {name: _kept[key][1] for name, key in contents(nodes).items() if key in _kept}


def contents(nodes: Graph) -> dict[str, str]:
    """For each node a name of all that decides its result: kinds and values of the node and of all behind it.

    Numbers of nodes do not count. What a graph cannot tell, such as a file's content, is left to the core, which then
    runs the node anew.
    """
    known: dict[str, str] = {}
    for node in nodes:
        waiting = [node]
        while waiting:
            values = nodes[waiting[-1]].get("inputs") or {}
            sources = [value[0] for value in values.values() if _is_link(value, nodes)]
            unknown = [name for name in sources if name not in known and name not in waiting]
            if unknown:
                waiting.append(unknown[0])
                continue
            name = waiting.pop()
            behind = {key: _content(value, nodes, known) for key, value in values.items()}
            content = json.dumps([nodes[name].get("class_type"), behind], sort_keys=True, default=str)
            known[name] = hashlib.sha256(content.encode()).hexdigest()
    return known


def _is_link(value: Any, nodes: Graph) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and value[0] in nodes


def _content(value: Any, nodes: Graph, known: Mapping[str, str]) -> Any:
    if _is_link(value, nodes):
        return [known.get(value[0], ""), value[1]]
    if isinstance(value, dict) and "__value__" in value:  # the front end's wrapping of a list
        return value["__value__"]
    # The core writes 1.0 where a browser writes 1.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _offer() -> None:
    """The window's question: what did these nodes say?"""
    server = running_server()
    if server is None:
        return
    from aiohttp import web

    @server.routes.post("/sedic/said")
    async def said(request: web.Request) -> web.Response:
        asked = await request.json()
        nodes = asked.get("prompt") if isinstance(asked, dict) else None
        if not isinstance(nodes, dict) or not all(isinstance(entry, dict) for entry in nodes.values()):
            return web.json_response({"error": "Send {prompt: a graph in API form}."}, status=400)
        return web.json_response(said_before(nodes))


_offer()
