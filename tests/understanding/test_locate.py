from __future__ import annotations

import warnings

import numpy as np
import pytest

from sedic.semantics import SceneObject, Semantics
from sedic.understanding.masks.grounding import Box, PartialMatch
from sedic.understanding.masks.locate import locate, read_boxes
from sedic.understanding.masks.segment import MaskError

from .test_segment import disc, iou

IMAGE, DISC = disc()
EMPTY = np.zeros(IMAGE.shape[:2], bool)


def words(*names):
    return Semantics("a picture", tuple(SceneObject(name, f"{name} detail") for name in names))


def block(top, bottom, left, right):
    mask = EMPTY.copy()
    mask[top:bottom, left:right] = True
    return mask


class FakeDetector:
    """Finds what it was told it would."""

    def __init__(self, **found):
        self.found, self.asked = found, []

    def boxes(self, image, name, box_threshold, text_threshold):
        self.asked.append(name)
        return [Box(*corners) for corners in self.found.get(name, [])]


class FakeSegmenter:
    """Takes boxes for masks."""

    def mask(self, image, boxes):
        return np.logical_or.reduce([block(int(y0), int(y1), int(x0), int(x1)) for x0, y0, x1, y1 in boxes])


def test_a_mask_wins_over_a_box_and_a_box_over_the_models():
    detector = FakeDetector(c=[(200, 10, 240, 50)])
    found, notes, _ = locate(
        IMAGE,
        words("a", "b", "c"),
        detector,
        FakeSegmenter(),
        masks=[block(0, 40, 0, 40)],
        boxes=[(100, 100, 200, 200), (50, 60, 90, 100)],
    )
    assert notes == []
    assert detector.asked == ["c"]
    expected = [block(0, 40, 0, 40), block(60, 100, 50, 90), block(10, 50, 200, 240)]
    assert all((o.mask == m).all() for o, m in zip(found.objects, expected, strict=True))
    assert (found.overall, found.objects[1].detail) == ("a picture", "b detail")


def test_a_mask_that_the_semantics_bring_is_kept():
    semantics = Semantics("", (SceneObject("a", "", DISC),))
    found, _, _ = locate(IMAGE, semantics)
    assert (found.objects[0].mask == DISC).all()


def test_a_box_is_refined_by_grabcut_where_there_is_no_segmenter():
    found, _, _ = locate(IMAGE, words("disc"), boxes=[(70, 50, 230, 210)])
    assert iou(found.objects[0].mask, DISC) > 0.9


def test_all_boxes_of_a_name_make_one_mask():
    detector = FakeDetector(parrots=[(0, 0, 40, 40), (100, 0, 140, 40)])
    found, _, boxes = locate(IMAGE, words("parrots"), detector, FakeSegmenter())
    assert (found.objects[0].mask == block(0, 40, 0, 40) | block(0, 40, 100, 140)).all()
    assert boxes == [(Box(0, 0, 40, 40), Box(100, 0, 140, 40))]


def test_the_surest_box_of_a_name_is_taken_by_choice():
    detector = FakeDetector(parrots=[(0, 0, 40, 40), (100, 0, 140, 40)])
    found, _, boxes = locate(IMAGE, words("parrots"), detector, FakeSegmenter(), several="best")
    assert (found.objects[0].mask == block(0, 40, 0, 40)).all()
    assert boxes == [(Box(0, 0, 40, 40),)]


def test_a_box_without_extent_is_no_find():
    detector = FakeDetector(barn=[(10, 10, 11, 60)])
    assert "Hallucination" in locate(IMAGE, words("barn"), detector, FakeSegmenter()).notes[0]


def test_thresholds_reach_the_detector():
    class Asked(FakeDetector):
        def boxes(self, image, name, box_threshold, text_threshold):
            self.thresholds = box_threshold, text_threshold
            return [Box(0, 0, 40, 40)]

    detector = Asked()
    locate(IMAGE, words("barn"), detector, FakeSegmenter())
    assert detector.thresholds == (0.3, 0.25)
    locate(IMAGE, words("barn"), detector, FakeSegmenter(), box_threshold=0.5, text_threshold=0.4)
    assert detector.thresholds == (0.5, 0.4)


def test_an_object_that_is_not_found_is_a_hallucination_and_told():
    detector = FakeDetector(barn=[(0, 0, 40, 40)])
    found, notes, _ = locate(IMAGE, words("unicorn", "barn"), detector, FakeSegmenter())
    assert [o.name for o in found.objects] == ["barn"]
    assert len(notes) == 1
    assert notes[0].startswith("Hallucination: 'unicorn'")


def test_what_the_detector_matches_only_in_part_and_what_it_cannot_read_is_noted():
    class Partly(FakeDetector):
        def boxes(self, image, name, box_threshold, text_threshold):
            warnings.warn(f"{name!r} is matched only in part: for a test.", PartialMatch, stacklevel=2)
            return super().boxes(image, name, box_threshold, text_threshold)

    detector = Partly(**{"barn": [(0, 0, 40, 40)], "咖啡杯": [(50, 0, 90, 40)]})
    found, notes, _ = locate(IMAGE, words("barn", "咖啡杯"), detector, FakeSegmenter())
    assert len(found.objects) == 2
    assert notes[0] == "'barn' is matched only in part: for a test."
    assert "'咖啡杯' is not in English, which alone the detector reads" in notes[1]


def test_where_masks_overlap_the_earlier_object_wins():
    found, _, _ = locate(IMAGE, words("a", "b"), masks=[block(0, 50, 0, 50), block(0, 50, 25, 100)])
    assert (found.objects[1].mask == block(0, 50, 50, 100)).all()


def test_a_mask_of_the_whole_picture_leaves_the_others_theirs():
    found, notes, _ = locate(IMAGE, words("sea", "boat"), masks=[~EMPTY, DISC])
    assert [o.name for o in found.objects] == ["sea", "boat"]
    assert (found.objects[0].mask == ~DISC).all()
    assert (found.objects[1].mask == DISC).all()
    assert "'sea' covers the whole picture" in notes[0]


def test_a_tiny_mask_of_the_models_is_dropped_and_told():
    detector = FakeDetector(fly=[(0, 0, 5, 5)], barn=[(50, 0, 90, 40)])
    found, notes, _ = locate(IMAGE, words("fly", "barn"), detector, FakeSegmenter())
    assert [o.name for o in found.objects] == ["barn"]
    assert notes == ["The mask of 'fly' covers 0.033% of the picture, less than 0.1%, dropped."]


@pytest.mark.parametrize("mask", [EMPTY, block(0, 5, 0, 5)])
def test_a_tiny_mask_of_a_person_is_refused(mask):
    with pytest.raises(MaskError, match=r"mask of 'fly' covers 0\.0.*less than 0\.1%"):
        locate(IMAGE, words("fly"), masks=[mask])


def test_a_mask_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(MaskError, match="10×20, the picture 320×240"):
        locate(IMAGE, words("a"), masks=[np.ones((20, 10), bool)])


def test_an_object_without_any_help_is_told():
    with pytest.raises(MaskError, match=r"no mask, box or detector for object 2, 'b'"):
        locate(IMAGE, words("a", "b"), masks=[DISC])


def test_no_objects_need_no_models():
    assert locate(IMAGE, words()) == (words(), [], [])


def test_boxes_are_read_line_by_line_and_a_dash_is_none():
    assert read_boxes("1 2 3.5 4\n\n - \n5, 6, 7, 8") == [(1, 2, 3.5, 4), None, (5, 6, 7, 8)]


@pytest.mark.parametrize("text", ["1 2 3", "1 2 3 4 5", "a b c d"])
def test_a_line_that_is_no_box_is_told(text):
    with pytest.raises(MaskError, match="four numbers x0 y0 x1 y1"):
        read_boxes(text)


def test_pinholes_of_a_mask_are_filled():
    mask = block(50, 150, 50, 150)
    mask[100, 100:103] = False
    found, _, _ = locate(IMAGE, words("a"), masks=[mask])
    assert (found.objects[0].mask == block(50, 150, 50, 150)).all()
