from __future__ import annotations

import numpy as np

from sedic.semantics import SceneObject
from sedic.understanding.masks.grounding import Box
from sedic.understanding.masks.overlay import COLOURS, overlay

from .test_segment import disc

IMAGE, DISC = disc()
EMPTY = np.zeros(IMAGE.shape[:2], bool)


def test_an_overlay_tints_the_masks_and_leaves_the_rest():
    mask = EMPTY.copy()
    mask[100:200, 100:200] = True
    drawn = overlay(IMAGE, [SceneObject("Häuser 山", "", mask), SceneObject("none", "", EMPTY), SceneObject("no mask")])
    assert (drawn[~mask] == IMAGE[~mask]).all()
    assert (drawn[mask] != IMAGE[mask]).any(axis=1).mean() > 0.9


def test_boxes_are_drawn_where_they_were_found():
    drawn = overlay(IMAGE, [SceneObject("disc", "", DISC)], [(Box(20, 30, 300, 220, 0.5),)])
    for y, x in ((30, 200), (220, 200), (100, 20), (100, 300)):
        assert tuple(drawn[y, x]) == COLOURS[0]
    framed = overlay(IMAGE, [SceneObject("disc", "", DISC)])
    assert tuple(framed[30, 200]) != COLOURS[0]
    assert tuple(framed[np.flatnonzero(DISC.any(axis=1))[0], 200]) == COLOURS[0]


def test_a_name_at_the_border_is_written_inside():
    corner = EMPTY.copy()
    corner[-12:, -12:] = True
    drawn = overlay(IMAGE, [SceneObject("a long name of a small thing", "", corner)])
    written = (drawn != IMAGE).any(axis=2) & ~corner
    assert written.sum() > 200
    assert not written[:, :5].any()


def test_names_of_things_in_one_place_are_written_below_one_another():
    rows = []
    for objects in (1, 2, 3):
        same = [SceneObject("barn", "", DISC)] * objects
        white = (overlay(np.zeros_like(IMAGE), same) > 250).all(axis=2)
        rows.append(int(white.any(axis=1).sum()))
    assert rows[0] * 1.8 < rows[1] < rows[2]
