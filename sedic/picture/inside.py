"""Which part of a mask is inside, whatever numbers or colours a tool gave to it.

Painters write white on black, programs 0 and 1 or a number for each object, viewers a colour for each; some smooth the
edges, some compress them with loss. What they have in common: outside is black, or 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LABELS = 64  # most levels of a picture whose levels are names; more of them are shades
SOLID = 0.3  # share of a label's pixels that have eight neighbours of its own
SOFT_EDGE = 4  # pixels of an edge beyond which it is no mere smoothing
SOFT_SHARE = 0.02  # of the picture
PHOTOGRAPH = 0.25  # of the picture that is neither black nor white, however fine its grain
NAMED = 6  # labels that a sentence lists


class Inside(NamedTuple):
    """A mask, (H, W) bool, and what has to be said about how it was read: ends of a sentence that its name begins."""

    mask: np.ndarray
    notes: tuple[str, ...] = ()


def inside(levels: np.ndarray, colours: np.ndarray | None = None) -> Inside:
    """The part of a mask that is meant.

    Args:
        levels: (H, W), how bright it is, 0 for black: integers or floats, not negative.
        colours: (H, W) integers, one for each colour, 0 for black; None where the levels are all there is.
    """
    names = levels if colours is None else colours
    kinds, counts = np.unique(names, return_counts=True)
    if len(kinds) == 1:
        return Inside(np.full(levels.shape, bool(levels.flat[0])))
    if len(kinds) == 2:
        return Inside(names != 0) if kinds[0] == 0 else _without_black(levels, names)
    labels = _labels(names, kinds, counts)
    if labels is not None and kinds[0] == 0:
        return Inside(names != 0, (_told_labels(labels, colours is not None),))
    if labels is not None and colours is not None:
        return _without_black(levels, names)
    return _of_shades(levels, colours, len(kinds))


def _without_black(levels: np.ndarray, names: np.ndarray) -> Inside:
    """The darker part is outside; where all is as bright (red on white), what lies along the border."""
    low, high = float(levels.min()), float(levels.max())
    if high > low * 1.25:
        # Video's black is 16 of 255: nothing to tell.
        notes = () if low <= high / 12 else ("has no black: its darker part is taken as outside",)
        return Inside(levels > (low + high) / 2, notes)
    border = np.concatenate([names[0], names[-1], names[:, 0], names[:, -1]])
    kinds, counts = np.unique(border, return_counts=True)
    return Inside(names != kinds[counts.argmax()], ("has no black: the colour along its border is taken as outside",))


def _labels(names: np.ndarray, kinds: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
    """The labels but 0, where the levels are names of things: few, and most of them areas, not edges."""
    if len(kinds) > LABELS or min(names.shape) < 3:
        return None
    rows = (names[:, :-2] == names[:, 1:-1]) & (names[:, 1:-1] == names[:, 2:])
    middle = names[1:-1, 1:-1]
    alone = rows[:-2] & rows[1:-1] & rows[2:] & (names[:-2, 1:-1] == middle) & (middle == names[2:, 1:-1])
    found, within = np.unique(middle[alone], return_counts=True)
    areas = {kind: share for kind, share in zip(found, within, strict=True) if kind != 0}
    solid = [k for k, n in zip(kinds, counts, strict=True) if areas.get(k, 0) >= SOLID * n]
    others = sum(1 for kind in kinds if kind != 0)
    return np.array(solid) if len(solid) >= 2 and 2 * len(solid) >= others else None


def _told_labels(labels: np.ndarray, coloured: bool) -> str:
    if coloured:
        return f"holds {len(labels)} colours: all of them are taken as inside, black as outside"
    listed = ", ".join(f"{label:g}" for label in labels[:NAMED]) + (", …" if len(labels) > NAMED else "")
    return f"holds {len(labels)} labels ({listed}): all but 0 are taken as inside"


def _of_shades(levels: np.ndarray, colours: np.ndarray | None, kinds: int) -> Inside:
    """Smoothed edges, lossy ones and soft masks: cut half way between black and the brightest."""
    low, high = float(levels.min()), float(levels.max())
    notes = []
    if low > high / 8:
        notes.append("has no black: its darker half is taken as outside")
    else:
        low = 0.0
    mask = levels > (low + high) / 2
    span = high - low
    between = int(((levels > low + 0.1 * span) & (levels < high - 0.1 * span)).sum())
    edge = int((mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum())
    many = between > PHOTOGRAPH * levels.size
    if many or between > max(SOFT_SHARE * levels.size, SOFT_EDGE * edge):
        if kinds > LABELS and _rises_at_once(levels, high):
            return Inside(levels > 0, ("is a picture on black: all but black is taken as inside",))
        kind = "looks like a photograph" if many and colours is not None else "is soft"
        notes.append(f"{kind} ({between / levels.size:.0%} of it is between black and white): cut at the half")
    return Inside(mask, tuple(notes))


def _rises_at_once(levels: np.ndarray, high: float) -> bool:
    """Whether there is black, and what lies beside it is not: a photograph that was cut out, not a soft edge."""
    black = levels == 0
    if black.mean() < SOFT_SHARE:
        return False
    beside = np.concatenate([levels[:, 1:][black[:, :-1]], levels[:, :-1][black[:, 1:]]])
    beside = beside[beside > 0]
    return beside.size > 0 and float(np.median(beside)) > high / 10
