"""Whether a stage keeps the reference's colours, and how much of its own detail: the widgets, and the picture meant."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..sedic.errors import SedicError
from ..sedic.restoration.settings import Settings
from .schema import advanced

DEFAULTS = Settings()


def color_fix_input() -> Any:
    """The widget that holds a stage to the reference's colours."""
    return io.Boolean.Input("color_fix", default=DEFAULTS.color_fix, optional=True,
                            tooltip="Takes the colours (all that is coarser than about 32 pixels) from the reference "
                                    "again, since a model's colours drift.")  # fmt: skip


def detail_input() -> Any:
    """The widget that says how much of what a stage paints is kept."""
    return advanced(io.Float.Input("detail", default=DEFAULTS.detail, min=0.0, max=1.0, step=0.05, optional=True,
                            tooltip="With color_fix: how much is kept of the fine structure that the model paints. 1: "
                            "all of it; less where it paints grain and mesh; 0: the reference alone."))  # fmt: skip


def colors_of(reference: Tensor | None, color_fix: bool, image: Tensor) -> Tensor | None:
    """The picture whose colours a stage keeps, if it does.

    Raises:
        SedicError: there is none, or not of the size of ``image``.
    """
    if not color_fix:
        return None
    if reference is None:
        raise SedicError("color_fix takes the colours from the reference; plug it in or turn color_fix off.")
    if reference.shape[1:3] != image.shape[1:3]:
        (high, wide), (height, width) = image.shape[1:3], reference.shape[1:3]
        raise SedicError(
            f"color_fix needs a reference of the picture's size, {wide}×{high}; the one plugged in is {width}×{height}."
        )
    return reference
