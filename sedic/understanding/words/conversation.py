"""What a vision-language model is asked for and how its answer is read, whoever gives it.

A :class:`Provider` is one way to such a model: ``chat`` over the network, ``local`` in this process.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ...errors import SedicError
from ...semantics import Limits, SceneObject, Semantics

LONG_SIDE = 768  # pixels sent: more costs tokens and adds nothing that fifty words can say
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "objects": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["name", "detail"],
                "additionalProperties": False,
            },
        },
        "overall": {"type": "string"},
    },
    "required": ["objects", "overall"],
    "additionalProperties": False,
}
Watch = Callable[[], None]


class TextualizeError(SedicError):
    """No usable words came: from a model, or from what was typed."""


@dataclass(frozen=True)
class Turn:
    """One message of a conversation: ``role`` is user or assistant; the first comes with the picture."""

    role: str
    text: str


class Provider(Protocol):
    """One way to a vision-language model."""

    @property
    def name(self) -> str:
        """Who it is, as the subject of an error's sentence."""

    @property
    def identity(self) -> str:
        """What an answer depends on besides picture, question and seed; never holds a key."""

    def answer(self, picture: Image.Image, turns: Sequence[Turn], seed: int, tokens: int, watch: Watch) -> str:
        """The model's next message.

        Args:
            picture: goes with the first turn, once.
            turns: the conversation so far, the user's turn last.
            seed: for models that draw at random even at temperature 0.
            tokens: more than any answer within the limits needs; a model that never stops is stopped there.
            watch: called every now and then while waiting; what it raises ends the waiting.

        Raises:
            TextualizeError: no answer came, or a refusal.
        """


def shrink(image: np.ndarray) -> Image.Image:
    """The picture, (H, W, 3) uint8, at most 768 pixels long."""
    picture = Image.fromarray(image)
    picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return picture


def jpeg(picture: Image.Image) -> bytes:
    """The picture as it is sent."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def read_answer(answer: str, limits: Limits) -> tuple[Semantics | None, str]:
    """Finds the JSON object in an answer and checks it.

    Returns:
        The semantics (None where the answer has none of the right form) and what is wrong with the answer, "" if
        nothing is: semantics with a problem are only too long.
    """
    answer = answer.rpartition("</think>")[2]  # a draft in a train of thought is not the answer
    problem = "it holds no JSON object" if "{" not in answer else "its JSON is cut short or broken"
    for data in _json_objects(answer):
        if "objects" not in data and "overall" not in data:
            continue  # a part of an answer that was cut short, or an example of the form
        problem = _wrong_form(data)
        if not problem:
            objects = tuple(SceneObject(_line(o["name"]), _line(o["detail"])) for o in data["objects"])
            semantics = Semantics(_line(data["overall"]), objects)
            return semantics, _too_long(semantics, limits)
    return None, problem


def _json_objects(answer: str) -> Iterator[dict]:
    """The outermost JSON objects of a text, which may have prose or a code fence around them."""
    decoder = json.JSONDecoder()
    start = answer.find("{")
    while start >= 0:
        try:
            data, end = decoder.raw_decode(answer, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield data
        start = answer.find("{", end)


def _wrong_form(data: dict) -> str:
    objects, overall = data.get("objects"), data.get("overall")
    if not isinstance(objects, list):
        return '"objects" is not a list'
    if not isinstance(overall, str) or not overall.strip():
        return '"overall" is not a text'
    for j, row in enumerate(objects, 1):
        if not isinstance(row, dict) or not isinstance(row.get("detail"), str):
            return f'object {j} has no "name" and "detail"'
        if not isinstance(row.get("name"), str) or not row["name"].strip():
            return f"object {j} has no name"
    return ""


def _too_long(semantics: Semantics, limits: Limits) -> str:
    problems = []
    if len(semantics.objects) > limits.objects:
        problems.append(f"{len(semantics.objects)} objects, {limits.objects} allowed")
    for j, o in enumerate(semantics.objects, 1):
        for what, text, most in (("name", o.name, limits.name_words), ("detail", o.detail, limits.detail_words)):
            if len(text.split()) > most:
                problems.append(f"{what} of object {j} has {len(text.split())} words, {most} allowed")
    if len(semantics.overall.split()) > limits.overall_words:
        problems.append(f"overall has {len(semantics.overall.split())} words, {limits.overall_words} allowed")
    return "; ".join(problems)


def _line(text: str) -> str:
    return " ".join(text.split())
