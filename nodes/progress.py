"""Where a restoration stands, in words: "object 2 of 3, step 1 of 2, update 3 of 5", shown by web/js/progress.js.

Each stage's bar is its own; which of the stages it is, only the graph tells.
"""

from __future__ import annotations

from .server import Graph, running_node, running_server

OBJECT, WHOLE = "SEDIC_ORAGSampler", "SEDIC_GlobalRestore"
EVENT = "sedic.progress"


class Teller:
    """Tells the window about one stage, from its first step to its last."""

    def __init__(self, steps: int, updates: int) -> None:
        """Args: the stage's ``steps``, and the most guided ``updates`` of a step."""
        self._steps, self._updates = steps, updates
        self._step, self._update = 0, 0
        running = running_node()
        self._node, self._stage = ("", "") if running is None else (running[0], stage_name(running[1], running[0]))
        self._send()

    def step_done(self, step: int) -> None:
        """After step ``step``, counted from 0."""
        self._step, self._update = step + 1, 0
        if self._step < self._steps:
            self._send()

    def update(self, step: int, _energy: float) -> None:
        """Before each guided update of a step."""
        self._update = self._update + 1 if step == self._step else 1
        self._step = step
        self._send()

    def _send(self) -> None:
        server = running_server()
        if server is None or not self._node:
            return
        update = f", update {self._update} of {self._updates}" if self._update else ""
        text = f"{self._stage}, step {self._step + 1} of {self._steps}{update}"
        server.send_sync(EVENT, {"node": self._node, "text": text}, server.client_id)


def stage_name(nodes: Graph, node: str) -> str:
    """Which stage ``node`` is among those wired to it, in a graph in API form."""
    if nodes[node].get("class_type") == WHOLE:
        return "whole picture"

    def behind(start: str) -> set[str]:
        seen, waiting = {start}, [start]
        while waiting:
            for value in nodes[waiting.pop()]["inputs"].values():
                if isinstance(value, list) and len(value) == 2 and value[0] in nodes and value[0] not in seen:
                    seen.add(value[0])
                    waiting.append(value[0])
        return seen

    stages = [name for name, entry in nodes.items() if entry.get("class_type") == OBJECT and name != node]
    sources = behind(node)
    before = sum(name in sources for name in stages)
    after = sum(name not in sources and node in behind(name) for name in stages)
    return f"object {before + 1} of {before + 1 + after}"
