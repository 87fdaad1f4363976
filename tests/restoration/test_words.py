"""Which words are guided, and in which order objects come."""

from __future__ import annotations

import numpy as np
import pytest

from sedic.errors import SedicError
from sedic.restoration.words import content_words, guided_tokens, in_order
from sedic.semantics import SceneObject

PROMPT = "red barn: a weathered red barn with its white-framed doors, beside the pond"
WORDS = PROMPT.replace(":", "").replace(",", "").replace("-", " ").split()


def find(phrase: str) -> list[int]:
    """Every word is a token."""
    wanted = phrase.split()
    return [
        place + k for place in range(len(WORDS)) if WORDS[place : place + len(wanted)] == wanted
        for k in range(len(wanted))
    ]  # fmt: skip


def test_content_words_name_or_describe():
    assert content_words(PROMPT) == ["red", "barn", "weathered", "white", "framed", "doors", "pond"]
    assert content_words("") == content_words("of the") == []
    assert content_words("Ein Café") == ["Ein", "Café"]


def test_name_content_and_chosen_words_are_found_wherever_they_stand():
    assert guided_tokens(find, PROMPT, "red barn", "name") == (0, 1, 4, 5)
    content = guided_tokens(find, PROMPT, "red barn", "content words")
    assert [WORDS[k] for k in content] == [
        "red",
        "barn",
        "weathered",
        "red",
        "barn",
        "white",
        "framed",
        "doors",
        "pond",
    ]
    assert guided_tokens(find, PROMPT, "red barn", "chosen words", ["white framed doors", "pond"]) == (8, 9, 10, 13)


def test_a_prompt_without_the_chosen_words_is_guided_by_its_name():
    assert guided_tokens(find, PROMPT, "red barn", "chosen words", ["canoe"]) == (0, 1, 4, 5)
    assert guided_tokens(find, PROMPT, "canoe", "name") == ()


def objects() -> list[SceneObject]:
    masks = [np.zeros((4, 4), bool) for _ in range(3)]
    masks[0][:1], masks[1][:3] = True, True
    return [SceneObject("small", "", masks[0]), SceneObject("large", "", masks[1]), SceneObject("none", "", None)]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("file", [1, 2, 3]),
        ("largest first", [2, 1, 3]),
        ("smallest first", [3, 1, 2]),
        ("2,1", [2, 1, 3]),
        ("3", [3, 1, 2]),
        ("7, 3", [3, 1, 2]),
    ],
)
def test_objects_come_in_the_order_that_was_asked_for(order, expected):
    found = in_order(objects(), order)
    assert [j for j, _ in found] == expected
    assert all(o.name == objects()[j - 1].name for j, o in found)


@pytest.mark.parametrize("order", ["", "loudest first", "1,1", "0", "-1", "1.5", "²"])
def test_an_order_that_is_none_is_told(order):
    with pytest.raises(SedicError, match="neither one of file, largest first, smallest first nor numbers"):
        in_order(objects(), order)
