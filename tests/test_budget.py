"""A budget is kept, spent on what brings most, and where it is too small the smallest one that works is told."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedic import ablation, budget, codec
from sedic.bitstream import SedicFile
from sedic.budget import BudgetError
from sedic.semantics import SceneObject, Semantics
from tests.grower import IMAGE, Grower

PIXELS = IMAGE.shape[0] * IMAGE.shape[1]
SENTENCE = "an old lighthouse of white stone stands on the rocks above a grey and stormy sea while gulls circle"


def text(words: int) -> str:
    own = SENTENCE.split()
    return " ".join(own[i % len(own)] for i in range(words))


def scene(objects: int, words: int = 20, overall: int = 30) -> Semantics:
    masks = np.zeros((objects, *IMAGE.shape[:2]), bool)
    for j in range(objects):
        masks[j, :, 8 * j : 8 * j + 8] = True
    return Semantics(text(overall), tuple(SceneObject(f"spot {j}", text(words), m) for j, m in enumerate(masks)))


@pytest.fixture(autouse=True)
def grower(monkeypatch) -> Grower:
    """Stands behind every name and number."""
    grower = Grower()
    monkeypatch.setattr(codec, "parse_reference", lambda text, models=None: (grower, grower.default_quality))
    monkeypatch.setattr(codec, "codec_by_id", lambda number, models=None: grower)
    return grower


def spend(target: float, semantics: Semantics) -> SedicFile:
    """The file within a budget, its notes unheard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return codec.encode(IMAGE, semantics, target_bpp=target)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 1.5), st.integers(0, 3), st.integers(0, 30), st.integers(0, 50), st.booleans())
def test_no_file_exceeds_its_budget_or_the_smallest_budget_that_works_is_told(target, objects, words, overall, fixed):
    semantics = scene(objects, words, overall)

    def file(target_bpp: float) -> SedicFile:
        if not fixed:
            return spend(target_bpp, semantics)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return codec.pack_within(target_bpp, codec.encode_reference(IMAGE), semantics)

    try:
        assert len(file(target).to_bytes()) * 8 / PIXELS <= target
    except BudgetError as error:
        told = float(re.search(r"is ([0-9.]+) bpp", str(error))[1])
        assert told > target
        assert len(file(told).to_bytes()) * 8 / PIXELS <= told
        with pytest.raises(BudgetError):
            file(told - 2e-4)  # nothing smaller does


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan])
def test_budgets_of_nothing_are_refused(target):
    with pytest.raises(BudgetError, match="too little"):
        codec.encode(IMAGE, scene(1), target_bpp=target)


def test_boundless_budget_takes_everything_at_the_highest_quality(grower):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = codec.encode(IMAGE, scene(3), target_bpp=math.inf)
    assert file.quality == grower.qualities[-1]
    assert file.semantics.overall == text(30)
    assert [o.detail for o in file.semantics.objects] == [text(20)] * 3


def test_what_brings_most_a_byte_is_bought_first(monkeypatch):
    monkeypatch.setattr(ablation, "REFERENCE_DOUBLING", 1e-9)
    target = 8 * 60 / PIXELS
    monkeypatch.setattr(ablation, "object_gain", lambda j, words: 1e-6)
    file = spend(target, scene(2))
    assert len(file.semantics.overall.split()) == 30
    assert not file.semantics.objects
    monkeypatch.setattr(ablation, "object_gain", lambda j, words: 1000.0 + words)
    file = spend(target, scene(2))
    assert file.semantics.objects
    assert file.semantics.overall == ""


def test_the_reference_gets_what_words_are_not_worth(monkeypatch, grower):
    monkeypatch.setattr(ablation, "REFERENCE_DOUBLING", 1000.0)
    file = spend(8 * 100 / PIXELS, scene(2))
    assert file.semantics.overall == ""
    assert not file.semantics.objects
    assert len(file.to_bytes()) == 100
    assert len(grower.tried) < 14, "found by bisection"


def test_an_object_that_is_not_restored_brings_nothing():
    semantics = Semantics("", (SceneObject("spot", text(10)),))
    assert not spend(8 * 60 / PIXELS, semantics).semantics.objects
    assert spend(math.inf, semantics).semantics.objects


def test_a_reference_that_is_there_already_is_kept_and_objects_make_room():
    reference = codec.encode_reference(IMAGE)
    whole = codec.pack(reference, scene(3))
    with pytest.warns(UserWarning, match=r"leave out .*'spot 2'"):
        file = codec.pack_within(whole.bits_per_pixel * 0.7, reference, scene(3))
    assert file.reference == reference.data
    assert file.bits_per_pixel <= whole.bits_per_pixel * 0.7


def test_the_table_of_gains_says_what_the_paper_does():
    gain = ablation.overall_gain
    assert gain(0) == 0
    assert gain(50) == pytest.approx(0.1503 - 0.1012)
    assert gain(50) - gain(30) == pytest.approx(0.1151 - 0.1012)
    objects = sum(ablation.object_gain(j, 30) for j in range(3))
    assert objects == pytest.approx(0.1667 - 0.1012)
    assert objects - sum(ablation.object_gain(j, 10) for j in range(3)) == pytest.approx(0.1318 - 0.1012)


def test_objects_that_pay_together_are_bought_together(monkeypatch):
    monkeypatch.setattr(ablation, "REFERENCE_DOUBLING", 0.01)
    monkeypatch.setattr(ablation, "overall_gain", lambda words: 0)
    monkeypatch.setattr(ablation, "object_gain", lambda j, words: 0.1 * (j == 2 and words >= 20))
    file = spend(8 * 110 / PIXELS, scene(3))
    assert len(file.semantics.objects) == 3
    assert len(file.semantics.objects[2].detail.split()) == 20


def test_a_length_that_takes_one_byte_more_is_paid_for():
    sizes = {most: len(spend(8 * most / PIXELS, Semantics()).to_bytes()) for most in range(135, 150)}
    assert all(most - 1 <= size <= most for most, size in sizes.items())
    assert list(sizes) != list(sizes.values())  # where the reference's length takes two bytes, one is left


def test_levels_of_a_long_text_are_few():
    priced = []
    reference = codec.encode_reference(IMAGE)

    def price(part: Semantics) -> SedicFile:
        priced.append(part)
        return codec.pack(reference, part)

    budget.Content(scene(1, 20, 400), price)
    assert len(priced) <= budget.MOST_LEVELS + 1
