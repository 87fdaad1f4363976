"""A node's schema on every core: arguments that only newer cores know are given where the core knows them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from comfy_api.latest import io


def schema(*, search_aliases: tuple[str, ...] = (), says: bool = False, **arguments: Any) -> io.Schema:
    """``io.Schema``, with what newer cores know beyond 0.3.75.

    Args:
        search_aliases: other words by which a person may look for the node.
        says: whether the node shows what :func:`.said.says` made, which a core should send again for a cached node.
        arguments: those of ``io.Schema`` in every core.
    """
    known = {field.name for field in fields(io.Schema)}
    newer = {"search_aliases": list(search_aliases), "has_intermediate_output": says}
    return io.Schema(**arguments, **{name: value for name, value in newer.items() if name in known})


def advanced(entry: Any) -> Any:
    """An input for the few, folded away behind the front end's "Show advanced inputs"."""
    entry.extra_dict = {**entry.extra_dict, "advanced": True}
    return entry
