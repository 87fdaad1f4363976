"""ComfyUI's server and the node that it runs, where there are any: tests and measurements load the pack without."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context

Graph = Mapping[str, Mapping[str, Any]]
"""Nodes by their ids, as ComfyUI's API has them."""


def running_server() -> Any:
    """``PromptServer.instance``, or None. Never imports it, which would start half a ComfyUI."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def running_node() -> tuple[str, Graph] | None:
    """The node that runs and the graph around it, in API form; None where none does."""
    context, graph = get_executing_context(), get_progress_state().dynprompt
    if context is None or not graph.has_node(context.node_id):
        return None
    return context.node_id, {name: graph.get_node(name) for name in graph.all_node_ids()}
