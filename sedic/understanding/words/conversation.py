"""What a vision-language model is asked for and how its answer is read, whoever gives it.

A :class:`Provider` is one way to such a model: ``chat`` over the network, ``local`` in this process.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ...errors import SedicError
from ...semantics import Limits, SceneObject, Semantics
from ...word_count import count_words, may_be_english
from .thoughts import without_thoughts

OTHER_WORDS = 0.7  # temperature where other words than the likeliest are asked for
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
            seed: 0 asks for the likeliest words; every other number for others, the same again for the same number.
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

    Models repeat the question's form, or draft before they answer: of several objects the last good one counts.

    Returns:
        The semantics (None where the answer has none of the right form) and what is wrong with the answer, "" if
        nothing is: semantics with a problem are only too long, or not in English.
    """
    said = without_thoughts(answer)
    problem = "its JSON is cut short or broken" if "{" in said else "it holds no JSON object"
    if answer.strip() and not said.strip():
        problem = "it holds thoughts alone, no JSON object"
    semantics = None
    for data in _candidates(said):
        fault = _wrong_form(data)
        if fault and semantics is None:
            problem = fault
        elif not fault:
            objects = tuple(SceneObject(_line(o["name"]), _line(o["detail"])) for o in data["objects"])
            semantics = Semantics(_line(data["overall"]), objects)
    if semantics is None:
        return None, problem
    return semantics, "; ".join(filter(None, (_too_long(semantics, limits), _foreign(semantics))))


def whole(answer: str) -> bool:
    """Whether a text ends with an answer in the right form, so that nothing was lost where it was cut."""
    answer = without_thoughts(answer)
    objects = list(_json_objects(answer))
    found = list(_inside(objects[-1][0])) if objects else []
    return bool(found) and not _wrong_form(found[-1]) and "{" not in answer[objects[-1][1] :]


def _candidates(answer: str) -> Iterator[dict]:
    """Everything in an answer that may be meant as Semantics JSON, in order."""
    found = [inner for data, _ in _json_objects(answer) for inner in _inside(data)]
    if not found:  # JSON as people write it: a comma too many
        plain = re.sub(r",(\s*[}\]])", r"\1", answer)
        found = [inner for data, _ in _json_objects(plain) for inner in _inside(data)]
    if not found:  # or as Python does
        try:
            found = list(_inside(ast.literal_eval(answer[answer.find("{") : answer.rfind("}") + 1])))
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return
    yield from found


def _inside(data: object, depth: int = 4) -> Iterator[dict]:
    """The object itself, or the objects inside an envelope: ``{"answer": {…}}``, also as a text in quotes."""
    data = _lower_keys(data)
    if isinstance(data, dict) and isinstance(data.get("objects"), list):
        data["objects"] = [_lower_keys(row) for row in data["objects"]]
    if isinstance(data, dict) and ("objects" in data or "overall" in data):
        yield data
    elif isinstance(data, (dict, list)) and depth:
        for value in data.values() if isinstance(data, dict) else data:
            yield from _inside(value, depth - 1)
    elif isinstance(data, str) and depth and "{" in data:
        for inner, _ in _json_objects(data):
            yield from _inside(inner, depth - 1)


def _lower_keys(row: object) -> object:
    return {str(key).strip().lower(): value for key, value in row.items()} if isinstance(row, dict) else row


def _json_objects(answer: str) -> Iterator[tuple[dict, int]]:
    """The outermost JSON objects of a text and their ends; prose or a code fence may stand around them."""
    decoder = json.JSONDecoder(strict=False)  # models break lines inside a text
    start = answer.find("{")
    while start >= 0:
        try:
            data, end = decoder.raw_decode(answer, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield data, end
        start = answer.find("{", end)


def _wrong_form(data: dict) -> str:
    objects, overall = data.get("objects"), data.get("overall")
    if not isinstance(objects, list):
        return '"objects" is not a list'
    if not isinstance(overall, str) or _empty(overall):
        return '"overall" is not a text'
    for j, row in enumerate(objects, 1):
        if not isinstance(row, dict) or not isinstance(row.get("detail"), str):
            return f'object {j} has no "name" and "detail"'
        if not isinstance(row.get("name"), str) or not any(map(str.isalnum, row["name"])):
            return f"object {j} has no name"
    return ""


def _too_long(semantics: Semantics, limits: Limits) -> str:
    problems = []
    if len(semantics.objects) > limits.objects:
        problems.append(f"{len(semantics.objects)} objects, {limits.objects} allowed")
    for j, o in enumerate(semantics.objects, 1):
        for what, text, most in (("name", o.name, limits.name_words), ("detail", o.detail, limits.detail_words)):
            if count_words(text) > most:
                problems.append(f"{what} of object {j} has {count_words(text)} words, {most} allowed")
    if count_words(semantics.overall) > limits.overall_words:
        problems.append(f"overall has {count_words(semantics.overall)} words, {limits.overall_words} allowed")
    return "; ".join(problems)


def _foreign(semantics: Semantics) -> str:
    texts = (semantics.overall, *(text for o in semantics.objects for text in (o.name, o.detail)))
    return "" if all(map(may_be_english, texts)) else "it is not in English"


def _empty(text: str) -> bool:
    """Whether a text says nothing, as in the form that the question shows: "…", or a schema's "string"."""
    return not any(map(str.isalnum, text)) or text.strip(" <>[]()").lower() in ("string", "str", "text", "overall")


def _line(text: str) -> str:
    return " ".join(text.split())
