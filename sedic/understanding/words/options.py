"""The options of a request: what is asked of a server beside the question, and what it has refused to take.

A server that names what it dislikes loses that option alone. One that says nothing is tried without structured output,
then without the numbers, then without either. What a server was answered well without is remembered for the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .conversation import OTHER_WORDS, SCHEMA
from .endpoints import Endpoint
from .refusals import Refusal

RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "semantics", "strict": True, "schema": SCHEMA}}
FEWER = "many tokens"  # refused where a server wants a smaller limit
_LIMITS = ("max_tokens", "max_completion_tokens")  # the same by its old and its new name
_refused: dict[str, frozenset[str]] = {}


def known(endpoint: Endpoint) -> frozenset[str]:
    """What this server has refused so far."""
    return _refused.get(endpoint.identity, frozenset())


def remember(endpoint: Endpoint, refused: frozenset[str]) -> None:
    """Keeps what a server has refused; called when it has answered without."""
    _refused[endpoint.identity] = refused


def forget() -> None:
    """Forgets what any server has refused."""
    _refused.clear()


def options_without(refused: frozenset[str], endpoint: Endpoint, draw: int, enough: int) -> dict[str, Any]:
    """The options of a request, but for those refused.

    Args:
        refused: names of options, and ``FEWER``.
        endpoint: whom to ask.
        draw: 0 asks for the likeliest words, another number for others.
        enough: tokens that any answer fits in, where a server wants fewer than the profile's.
    """
    most = min(endpoint.max_tokens, enough) if FEWER in refused else endpoint.max_tokens
    limit = next((name for name in _LIMITS if name not in refused), None)
    asked = {
        "temperature": OTHER_WORDS if draw else 0,
        "seed": draw,
        "response_format": RESPONSE_FORMAT,
        **({limit: most} if limit else {}),
    }
    return {name: value for name, value in asked.items() if name not in refused}


class Concessions:
    """What to leave out of a request, step by step, as a server refuses it."""

    def __init__(self, refused: frozenset[str]) -> None:
        """Begins with what is known to be refused."""
        self.refused = self._named = refused
        self._guesses: Iterator[frozenset[str]] | None = None

    @property
    def guessed(self) -> bool:
        """Whether the last step was a guess, as the server had named nothing."""
        return self._guesses is not None

    def concede(self, refusal: Refusal, sent: dict[str, Any], enough: int) -> bool:
        """Leaves out what the server refuses; False where nothing is left that may be the reason."""
        named = refusal.option(sent)
        limit = next((sent[name] for name in _LIMITS if name in sent), 0)
        if refusal.too_many and limit:
            return self._name(FEWER if limit > enough else next(name for name in _LIMITS if name in sent))
        if named:
            return self._name(named)
        if refusal.status in (500, 501) and refusal.reason.name == "server" and "response_format" in sent:
            guesses = [frozenset({"response_format"})]
        elif refusal.silent:
            numbers = frozenset({"temperature", "seed", *_LIMITS})
            guesses = [frozenset({"response_format"}), numbers, numbers | {"response_format"}]
        else:
            return False
        if self._guesses is None:
            self._guesses = iter([self._named | guess for guess in guesses if guess & set(sent)])
        following = next(self._guesses, None)
        if following is None:
            return False
        self.refused = following
        return True

    def _name(self, option: str) -> bool:
        if option in self._named:
            return False
        self.refused = self._named = self._named | {option}
        self._guesses = None
        return True
