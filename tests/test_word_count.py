from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedic.semantics import Limits, SceneObject, Semantics
from sedic.word_count import LONGEST, count_words, first_words, may_be_english


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a red  barn,\nquiet", 4),
        ("weathered black-and-white half-timbered house", 4),
        ("Donaudampfschifffahrtsgesellschaft", 1),
        ("木质桌面上的咖啡杯", 9),
        ("咖啡,桌子。", 4),
        ("3D打印机", 4),
        ("コーヒーカップ", 7),
        ("커피 한 잔", 3),
        ("ถ้วยกาแฟบนโต๊ะ", 3),
        ("☕ on wood", 3),
        ("👩‍🎤👩🏽", 3),
        ("x" * 400, 10),
    ],
)
def test_words_are_counted_in_any_script(text, count):
    assert count_words(text) == count


def test_a_character_is_never_parted_from_its_marks():
    text = "น้ำ" * 40
    for most in range(1, 20):
        cut = first_words(text, most)
        assert text[len(cut)] not in "้ำ" or not text.startswith(cut + "้")


@given(st.text(max_size=200), st.integers(0, 20))
def test_a_cut_text_is_the_beginning_of_the_text_and_no_longer_than_allowed(text, most):
    cut = first_words(text, most)
    assert " ".join(text.split()).startswith(cut)
    assert count_words(cut) <= most
    assert first_words(cut, most) == cut
    assert first_words(text, count_words(text)) == " ".join(text.split())


@given(st.text(max_size=4000))
def test_a_word_bounds_what_it_may_hold(text):
    assert len(first_words(text, 10)) <= 10 * (2 * LONGEST + 1)


def test_limits_bound_semantics_of_any_script():
    text = "木质桌面上的咖啡杯特写" * 30
    with pytest.warns(UserWarning, match="allowed"):
        cut = Semantics(text, (SceneObject(text, text),)).limited(Limits())
    assert [len(t) for t in (cut.overall, cut.objects[0].name, cut.objects[0].detail)] == [50, 6, 30]


@pytest.mark.parametrize(
    ("text", "english"), [("a café, 1920 – ½", True), ("咖啡", False), ("чашка", False), ("½ ☕", True)]
)
def test_a_script_that_is_not_english_is_known(text, english):
    assert may_be_english(text) == english
