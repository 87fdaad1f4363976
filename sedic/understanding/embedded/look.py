"""A photograph into semantics, with nothing typed: names, masks and details of what is sure, and notes on the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np

from ...semantics import Limits, SceneObject, Semantics
from ..appearance import colours, describe
from ..masks.grounding import Box, Detector
from ..masks.locate import locate
from ..masks.segment import Segmenter
from .names import below, membership, named, names
from .view import PERSON, View

# Chosen on 140 pictures from COCO whose objects people named: about one name in ten is plainly wrong there.
SURE = 0.45  # least score of a name
GENERAL = 0.75  # of a wide one ("animal", "vehicle"): many classes add up, to 0.7 on pure noise
WIDE = 20  # classes, from which on a name that has kinds is one
KIND = 0.6  # of a name's score, which one of its kinds must have to be named instead
PLACE = 0.4  # of a place: it only colours the sentence
GUESS = 0.25  # from here on what is unsure is told
WORN = ("hat", "helmet", "mask", "sunglasses")  # of somebody with a face: words about a person, no objects beside one


class Seen(NamedTuple):
    """What :func:`look` saw.

    Attributes:
        semantics: objects that all have masks, surest first, and the overall sentence.
        notes: what was found and what was left out, in a sentence each; then what befell the masks.
        boxes: for each object the frames that its mask was made in.
    """

    semantics: Semantics
    notes: list[str]
    boxes: list[tuple[Box, ...]]


def look(image: np.ndarray, limits: Limits = Limits(), segmenter: Segmenter | None = None) -> Seen:
    """Names what a picture surely shows, outlines it, and measures how it looks.

    Args:
        image: (H, W, 3) uint8.
        limits: most objects and words.
        segmenter: outlines frames instead of GrabCut.

    Raises:
        SedicError: the classifier's packages are missing.
    """
    view = View(image)
    sure, unsure = chosen(view.scores, bool(view.faces))
    worn = [text for text in sure if text in WORN and view.faces]
    sure = [text for text in sure if text not in worn]
    kept, more = sure[: limits.objects], sure[limits.objects :]
    notes = [_told([*kept, *worn], view), _left_out(more, unsure)]
    if view.faces is None:
        notes.append("Nobody looked for faces, as scikit-image is missing; pip install scikit-image.")
    # The smaller first: where masks overlap, the earlier one wins, and a dog is not to vanish in a sofa.
    frames = {text: view.boxes(image, text) for text in kept}
    smallest = sorted(kept, key=lambda text: sum(map(_area, frames[text])))
    finder = cast(Detector, view)  # locate asks nothing of a detector but its boxes
    wanted = Semantics("", tuple(SceneObject(text) for text in smallest))
    found = locate(image, wanted, finder, segmenter, box_threshold=0.0)
    notes += found.notes
    pairs = sorted(zip(found.semantics.objects, found.boxes, strict=True), key=lambda pair: kept.index(pair[0].name))
    objects = [replace(o, detail=_detail(image, o, worn)) for o, _ in pairs]
    semantics = Semantics(overall(image, view.scores, objects), tuple(objects)).limited(limits)
    return Seen(semantics, notes, [boxes for _, boxes in pairs])


def _detail(image: np.ndarray, o: SceneObject, worn: list[str]) -> str:
    """How an object looks, and what a person wears."""
    clothes = listed([f"{article(text)} {text}" for text in worn]) if o.name == PERSON else ""
    return ", ".join(filter(None, [f"with {clothes}" if clothes else "", describe(image, o.mask)]))


def known(semantics: Semantics) -> tuple[Semantics, list[str]]:
    """The objects that the eyes have a name for, and a note for each other one, which nobody looked for."""
    notes = [
        f"{o.name!r} ends in no name that the embedded eyes know, dropped; give it a mask or a box, or use models."
        for o in semantics.objects
        if named(o.name) is None
    ]
    return replace(semantics, objects=tuple(o for o in semantics.objects if named(o.name) is not None)), notes


def chosen(scores: np.ndarray, somebody: bool) -> tuple[list[str], list[str]]:
    """The names that are sure, surest first, and those that are likely and no more; each as deep as it can be told.

    Args:
        scores: of each name, in [0, 1].
        somebody: whether a face was found.
    """
    sure: dict[str, float] = {PERSON: 1.0} if somebody else {}
    unsure: dict[str, float] = {}
    for number, name in enumerate(names()):
        if name.parent is None and name.kind == "things":
            for deepest in _deepest(number, scores):
                found: int | None = deepest
                while found is not None and scores[found] < least(found):
                    found = names()[found].parent  # no sailboat for sure, but a boat
                if found is not None:
                    sure.setdefault(names()[found].text, float(scores[found]))
                elif scores[deepest] >= least(deepest) - SURE + GUESS:
                    unsure[names()[deepest].text] = float(scores[deepest])
    likely = {text: score for text, score in unsure.items() if text not in sure}
    return _surest_first(sure), _surest_first(likely)


def _surest_first(scored: dict[str, float]) -> list[str]:
    return sorted(scored, key=lambda text: -scored[text])


def least(number: int) -> float:
    """The score from which on a name is sure."""
    return GENERAL if below(number) and membership()[number].sum() >= WIDE else SURE


def _deepest(number: int, scores: np.ndarray) -> list[int]:
    """The kinds of a name that can be told apart, at any depth; the name itself where none can."""
    kinds = [kind for kind in below(number) if scores[kind] >= max(KIND * scores[number], GUESS)]
    return [found for kind in kinds for found in _deepest(kind, scores)] or [number]


def overall(image: np.ndarray, scores: np.ndarray, objects: list[SceneObject]) -> str:
    """The sentence of the whole: what is in it, where, and how the rest looks."""
    free = np.ones(image.shape[:2], bool)
    for o in objects:
        free &= ~np.asarray(o.mask)
    subjects = [_coloured(image, o) for o in objects]
    places = [number for number, name in enumerate(names()) if name.kind == "places" and scores[number] >= PLACE]
    setting = [names()[number].text for number in sorted(places, key=lambda number: -scores[number])[:1]]
    words = ["a photograph", *([f"of {listed(subjects)}"] if subjects else [])]
    words += [f"{_PREPOSITIONS[place]} a {place}" for place in setting]
    around = "around it " if subjects else ""
    return f"{' '.join(words)}, {around}{describe(image, free if free.any() else None)}"


_PREPOSITIONS = {"shore": "by", "lake": "by", "valley": "in", "field": "in"}


def _coloured(image: np.ndarray, o: SceneObject) -> str:
    """An object's name behind its article and its main colour, which people have none of."""
    colour = "" if o.name == PERSON else colours(image, np.asarray(o.mask)).split(" and ")[0] + " "
    return f"{article(colour + o.name)} {colour}{o.name}"


def article(phrase: str) -> str:
    """The indefinite article that a phrase takes."""
    return "an" if phrase[:1] in "aeiou" else "a"


def listed(phrases: list[str]) -> str:
    """Phrases as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(phrases[:-1]), *phrases[-1:]]))


def _told(kept: list[str], view: View) -> str:
    scores = {name.text: score for name, score in zip(names(), view.scores, strict=True)}
    if not kept:
        return "Found: nothing that the embedded eyes are sure of, so the words are colours, texture and light alone."
    found = [f"{text} (a face)" if text == PERSON and view.faces else f"{text} ({scores[text]:.0%})" for text in kept]
    return f"Found: {listed(found)}."


def _left_out(more: list[str], unsure: list[str]) -> str:
    parts = []
    if unsure:
        parts.append(f"{listed(unsure[:3])} as unsure")
    if more:
        parts.append(f"{listed(more)} as more than the objects asked for")
    return f"Left out: {'; '.join(parts) or 'nothing that would have been likely'}."


def _area(box: Box) -> float:
    return (box.x1 - box.x0) * (box.y1 - box.y0)
