"""Several pictures where pictures come in: each is encoded by itself, and what is made of them goes on as a list.

Pictures come as a batch (one tensor, all of one size) or as one of ComfyUI's lists (what its folder loaders give, of
any sizes). Behind the encoder every picture has words, masks and bytes of its own, and the core's CLIP Text Encode
takes one text: a batch cannot hold them, a list can, and the core runs every node once for each of its entries by
itself. So only the nodes at which pictures come in take whole lists, take batches apart, and pair what belongs
together; where the core pairs, it repeats the last entry of the shorter list without a word.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.utils
from comfy import model_management
from comfy_api.latest import io
from torch import Tensor

from ..sedic.errors import SedicError
from ..sedic.progress import watched_by
from .said import joined

Wired = Mapping[str, Sequence[Any]]


def each_picture(
    *pictures: str, masks: Sequence[str] = (), boxes: Sequence[str] = ()
) -> Callable[[Callable[..., io.NodeOutput]], Any]:
    """Makes ``execute`` of one picture that of a node with ``is_input_list`` and outputs that are lists.

    Called with plain values, as from a script, for one picture, it is what it was.

    Args:
        pictures: inputs of IMAGE, of which a batch is as many pictures.
        masks: inputs of MASK, of which a batch of as many as there are pictures is one for each.
        boxes: inputs of BOUNDING_BOX, which for several pictures are a list of lists, one for each.
    """

    def of_several(one: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
        @functools.wraps(one)
        def execute(cls: type, *values: Any, **wired: Any) -> io.NodeOutput:
            lists = not values and all(isinstance(entries, (list, tuple)) for entries in wired.values())
            given = inspect.signature(one).bind_partial(cls, *values, **wired).arguments
            entries = {name: value if lists else [value] for name, value in given.items() if name != "cls"}
            rows = paired(entries, pictures, masks, boxes)
            outputs, bar = [], comfy.utils.ProgressBar(len(rows))
            for place, row in enumerate(rows, 1):
                stop_if_cancelled()
                try:
                    with watched_by(stop_if_cancelled):
                        outputs.append(one(cls, **row))
                    bar.update(1)
                except SedicError as error:
                    if len(rows) == 1:
                        raise
                    raise SedicError(f"Of {len(rows)} pictures the one numbered {place}: {error}") from error
            return together(outputs) if lists or len(rows) > 1 else outputs[0]

        return execute

    return of_several


def stop_if_cancelled(*_told: Any) -> None:
    """Ends what runs if a person pressed Cancel; long work of the library asks each time it tells how far it is."""
    model_management.throw_exception_if_processing_interrupted()


def paired(
    wired: Wired, pictures: Sequence[str] = (), masks: Sequence[str] = (), boxes: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The inputs of each picture: its own where there is one for each, the same where there is one for all.

    Raises:
        SedicError: there is nothing, or there are other numbers than these two.
    """
    each = {name: apart(entries, 4) if name in pictures else [*entries] for name, entries in wired.items()}
    for name, entries in each.items():
        if not entries:
            raise SedicError(f"Nothing comes through {name}: the list or batch that is wired there is empty.")
    longest = max(each, key=lambda name: len(each[name]))
    count = len(each[longest])
    split = {name: apart(each.get(name, []), 3) for name in masks}
    split |= {name: [row for entry in each.get(name, []) for row in _lists_in(entry)] for name in boxes}
    each |= {name: parts for name, parts in split.items() if len(parts) == count}
    for name, entries in each.items():
        if len(entries) not in (1, count):
            raise SedicError(
                f"{len(entries)} came through {name} and {count} through {longest}; wire as many of each, or one for "
                "all."
            )
    return [{name: entries[place % len(entries)] for name, entries in each.items()} for place in range(count)]


def only(value: Any) -> Any:
    """A widget's value where the core, before a run, hands lists of one; None of one that a wire decides."""
    return value[0] if isinstance(value, (list, tuple)) else value


def apart(entries: Sequence[Any], dimensions: int) -> list[Any]:
    """Batches among ``entries`` as batches of one; what is not a batch of so many dimensions stays as it is."""
    parts: list[Any] = []
    for entry in entries:
        batch = isinstance(entry, Tensor) and entry.ndim == dimensions
        parts += entry.split(1) if batch and len(entry) else [] if batch else [entry]
    return parts


def _lists_in(entry: Any) -> list[Any]:
    """A list of lists as its lists; anything else is one of itself."""
    nested = isinstance(entry, (list, tuple)) and len(entry) and isinstance(entry[0], (list, tuple))
    return [*entry] if nested else [entry]


def together(outputs: Sequence[io.NodeOutput]) -> io.NodeOutput:
    """Outputs as lists, with what each shows."""
    columns = [[*column] for column in zip(*(output.args for output in outputs), strict=True)]
    return io.NodeOutput(*columns, ui=joined([output.ui for output in outputs if output.ui]))
