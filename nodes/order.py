"""Whether the Semantic Objects of a graph count alike: the order belongs to a file as a whole, not to one stage."""

from __future__ import annotations

from typing import Any

from ..sedic.errors import SedicError
from ..sedic.restoration.words import ORDERS, in_order
from ..sedic.semantics import Semantics


def check_alike(semantics: Semantics, index: int, order: str, prompt: dict[str, Any] | None, node: str | None) -> None:
    """Refuses a graph in which two orders pick one object, which would be restored twice and another one never.

    Args:
        semantics: what ``node`` picks object ``index`` of, along ``order``.
        prompt: the queued graph in API form, where it is known.
        node: the id of the node that asks.

    Raises:
        SedicError: another Semantic Object on the same wire counts otherwise and picks the same object.
    """
    if not prompt or node not in prompt:
        return
    own = prompt[node]
    picked, _ = in_order(semantics.objects, order)[index - 1]
    for number, other in prompt.items():
        inputs = other.get("inputs", {})
        if number == node or other.get("class_type") != own.get("class_type"):
            continue
        if inputs.get("semantics") != own["inputs"].get("semantics"):
            continue
        counted, along = inputs.get("index"), inputs.get("order", ORDERS[0])
        # What comes through a wire is not known here.
        if not isinstance(counted, int) or along not in ORDERS or not 0 < counted <= len(semantics.objects):
            continue
        if along != order and in_order(semantics.objects, along)[counted - 1][0] == picked:
            raise SedicError(
                f"Object {index} in the order {order!r} and object {counted} in the order {along!r} are both "
                f"{semantics.objects[picked - 1].name!r}, which would be restored twice and another object never; give "
                "all Semantic Objects the same order."
            )
