"""Which of a MASK's masks belongs to which picture."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ...sedic.errors import SedicError


def masks_of(mask: Tensor, pictures: int, note: Callable[[str], None]) -> Tensor:
    """A MASK's masks for so many pictures: (H, W) for one picture, (pictures, H, W) for several.

    One mask is every picture's; as many as there are pictures go one to one; several of one picture are united.

    Args:
        mask: (H, W), or (N, H, W).
        pictures: how many.
        note: told of a mask that says nothing.

    Raises:
        SedicError: there are others in number.
    """
    masks = mask if mask.ndim == 3 else mask[None]
    lowest, highest = masks.flatten(1).amin(1), masks.flatten(1).amax(1)
    for value in highest[(lowest == highest) & (highest > 0) & (highest < 0.99)].tolist():
        note(f"The mask is one grey, {value:.2g}, everywhere; it counts as the whole picture.")
    if pictures == 1:
        return masks.amax(0)
    if len(masks) not in (1, pictures):
        raise SedicError(
            f"There are {len(masks)} masks for {pictures} pictures; give one mask for each picture, or one for all."
        )
    return masks.expand(pictures, -1, -1)
