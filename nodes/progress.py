"""One bar over all stages: where a stage's steps stand among those of all stages wired to it.

ComfyUI draws a bar for each node and knows none for several. So every stage counts on where the stage before it ended:
the bar of the node that runs is that of the whole restoration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context

STAGES = ("SEDIC_ORAGSampler", "SEDIC_GlobalRestore")


def place_among_stages(own: int) -> tuple[int, int]:
    """(steps of the stages before, steps of all stages) for the node that runs, which has ``own`` steps."""
    context, graph = get_executing_context(), get_progress_state().dynprompt
    if context is None or not graph.has_node(context.node_id):
        return 0, own
    nodes = {name: graph.get_node(name) for name in graph.all_node_ids()}
    return steps_around(nodes, context.node_id, own)


def steps_around(nodes: Mapping[str, Mapping[str, Any]], node: str, own: int) -> tuple[int, int]:
    """:func:`place_among_stages` for a graph in API form; a stage whose steps are wired counts as many as this one."""

    def behind(start: str) -> set[str]:
        seen, waiting = {start}, [start]
        while waiting:
            for value in nodes[waiting.pop()]["inputs"].values():
                if isinstance(value, list) and len(value) == 2 and value[0] in nodes and value[0] not in seen:
                    seen.add(value[0])
                    waiting.append(value[0])
        return seen

    def steps(name: str) -> int:
        value = nodes[name]["inputs"].get("steps")
        return value if isinstance(value, int) else own

    stages = [name for name, entry in nodes.items() if entry.get("class_type") in STAGES and name != node]
    sources = behind(node)
    before = sum(steps(name) for name in stages if name in sources)
    after = sum(steps(name) for name in stages if name not in sources and node in behind(name))
    return before, before + own + after
