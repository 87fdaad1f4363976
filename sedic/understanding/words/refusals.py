"""A server's refusal: every word of an error's body is read, whatever shape it comes in.

OpenAI's is ``{"error": {"message": …}}``; others send lists, ``detail`` lists, a second body as text inside the first,
plain text or a web page, and the reason often stands deeper than the message. What a server says never goes into a
sentence: it may repeat the key.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .endpoints import Endpoint
from .reasons import REASONS, Reason

# How servers name the options of a request that they do not take.
OPTIONS = {
    "temperature": re.compile(r"\btemperature\b"),
    "seed": re.compile(r"\b(?:random_)?seed\b"),
    "max_tokens": re.compile(r"\bmax_?(?:new_|output_)?tokens\b"),
    "max_completion_tokens": re.compile(r"\bmax_?completion_?tokens\b"),
    "response_format": re.compile(
        r"\bresponse_?(format|schema|mime_?type)|json_?(schema|object|mode)|structured.?output|guided.?(json|decod)|"
        r"grammar|additional_?properties|\bformat\b|\bschema\b|\bstrict\b"
    ),
}
# Lists of what a server does take, which name options that it has not refused.
_TAKEN = re.compile(
    r"(?<!not )\b(supported|allowed|valid|accepted|permitted|available|known)\s+(\w+\s+){0,2}?(are|is|include)?\s*"
    r"[:=(\[][^.;\n]*|expected (one of|any of)[^.;\n]*|\b(use|try)\s+['\"`]?\w+['\"`]? instead"
)
_TOO_MANY = re.compile(r"max_?\w*tokens|(in|for) (the|your) completion|completion tokens|requested|can only afford")
_TOO_LARGE = re.compile(
    r"max_?\w*tokens.{0,80}(too large|at most|less than|no more|exceed|greater|maximum|between|range|<=|must be)|"
    r"supports at most"
)
_POINTERS = ("param", "loc", "parameter", "field")
_ECHOES = ("input", "body", "request", "ctx", "payload")  # what was sent, and says nothing of why


@dataclass(frozen=True)
class Refusal:
    """An error of a server.

    Attributes:
        status: of HTTP, or the one inside a response that came as a success.
        told: every word of the body in lower case.
        pointed: names that the body points at as the fault.
        inside: whether it came as a success.
    """

    status: int
    told: str
    pointed: tuple[str, ...] = ()
    inside: bool = False

    @property
    def reason(self) -> Reason:
        """The first of the reasons that fits."""
        return next(reason for reason in REASONS if reason.fits(self.status, self.told))

    @property
    def again(self) -> bool:
        """Whether the same request may succeed if it is sent once more."""
        return self.reason.again and self.option(OPTIONS) is None

    @property
    def too_many(self) -> bool:
        """Whether fewer tokens may be what the server wants."""
        if self.status not in (400, 402, 413, 422):
            return False
        known = self.reason.name in ("context", "credits") and _TOO_MANY.search(self.told)
        return bool(known or _TOO_LARGE.search(self.told))

    @property
    def silent(self) -> bool:
        """Whether some option may be what the server dislikes, although it names none."""
        asked = self.status == 404 and "parameters" in self.told  # OpenRouter, where no provider takes them all
        return asked or (self.status in (400, 422) and self.reason.name == "other")

    def option(self, sent: Collection[str]) -> str | None:
        """The option of those ``sent`` that the server refuses by name; one at a time where it names several."""
        if self.status not in (400, 404, 413, 422, 500, 501):
            return None
        if self.reason.name in ("blind", "filter", "credits", "place", "key", "busy"):
            return None
        if self.status == 404 and "param" not in self.told:
            return None
        names = [name for name in OPTIONS if name in sent]
        for name in names:
            if name in self.pointed:
                return name
        text = _TAKEN.sub(" ", self.told)
        found = [(match.start(), name) for name in names if (match := OPTIONS[name].search(text))]
        return min(found)[1] if found else None

    def sentence(self, endpoint: Endpoint, most: int) -> str:
        """What went wrong and what to do, in one sentence; ``most``, the tokens that were asked for."""
        how = f"HTTP {self.status}{' inside a 200' if self.inside else ''}"
        return self.reason.sentence.format(who=who(endpoint), how=how, model=endpoint.model, most=most)


def who(endpoint: Endpoint) -> str:
    """The subject of a sentence about an endpoint."""
    return f"The endpoint {endpoint.name!r} ({endpoint.host})"


def read_refusal(status: int, body: str, inside: bool = False) -> Refusal:
    """Reads an error's body."""
    body = re.sub(r"data:image/[^\s\"'\\]*|input_value=.*", " ", body)
    pointed: list[str] = []
    told = "\n".join(_words(body, pointed))
    return Refusal(status, told.lower(), tuple(name.lower() for name in pointed), inside)


def _words(value: object, pointed: list[str], depth: int = 8) -> Iterator[str]:
    """The words of a body, one line a value with its keys before it."""
    if isinstance(value, str):
        inner = _json(value) if depth else None
        if inner is not None:
            yield from _words(inner, pointed, depth - 1)
        elif value.lstrip()[:1] == "<":
            yield "<" + html.unescape(re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", value))
        else:
            yield value
    elif isinstance(value, dict) and depth:
        for key, inner in value.items():
            if key in _POINTERS:
                names = [str(part) for part in (inner if isinstance(inner, list) else [inner])]
                pointed += names
                yield f"{key} {' '.join(names)}"
            elif key not in _ECHOES:
                for line in _words(inner, pointed, depth - 1):
                    yield f"{key} {line}"
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _words(inner, pointed, depth - 1)
    elif value is not None:
        yield str(value)


def _json(text: str) -> object:
    """The object or list that a text holds, with the words around it; None where it holds none."""
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return None
    try:
        data, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, (dict, list)) or not data:
        return None
    return data if not text[:start].strip() and not text[end:].strip() else [text[:start], data, text[end:]]
