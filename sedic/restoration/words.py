"""Which words of an object's prompt are guided, and in which order the objects come."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..errors import SedicError
from ..semantics import SceneObject

TOKENS = ("name", "content words", "chosen words")
"""Choices for the tokens k of Eq. 2: the object's ``name``; all ``content words`` of its prompt, which leaves out
articles, prepositions, pronouns and the like; ``chosen words`` that somebody picked."""

ORDERS = ("file", "largest first", "smallest first")
"""Choices for the order in which objects are restored: as in the ``file``, or by the area of their masks."""

_FUNCTION_WORDS = """
    a about above across after against all along also am among an and another any are around as at be been before
    behind being below beneath beside besides between beyond both but by can could did do does down during each either
    every few for from had has have he her here hers him his how if in inside into is it its itself just like many may
    might more most much near neither no nor not of off on onto or other our out outside over own she should so some
    such than that the their them then there these they this those through to too toward towards under up upon very was
    we were what when where which while who whom whose will with within without would you your
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def content_words(text: str) -> list[str]:
    """The words of a text that name or describe something, each once, in their order."""
    words = re.findall(r"[^\W_]+", text)
    return list(dict.fromkeys(word for word in words if word.lower() not in FUNCTION_WORDS))


def guided_tokens(
    find: Callable[[str], Sequence[int]], prompt: str, name: str, choice: str, words: Sequence[str] = ()
) -> tuple[int, ...]:
    """Token positions that guidance reads.

    Args:
        find: positions of a phrase's tokens in the encoded prompt.
        prompt, name: the object's.
        choice: one of :data:`TOKENS`.
        words: phrases, for ``chosen words``; a prompt that holds none of them is guided by its name.

    Returns:
        Rising positions; empty if the prompt has none of what was chosen.
    """
    phrases = {"name": [name], "content words": content_words(prompt), "chosen words": list(words)}[choice]
    found = {position for phrase in phrases for position in find(phrase)}
    return tuple(sorted(found or find(name)))


def in_order(objects: Sequence[SceneObject], order: str) -> list[tuple[int, SceneObject]]:
    """(j, object j) in the order of restoration.

    Args:
        objects: as the file has them; without a mask they count as the smallest.
        order: one of :data:`ORDERS`, or numbers such as ``2,1,3``; objects that it does not name follow.

    Raises:
        SedicError: neither.
    """
    numbered = list(enumerate(objects, 1))
    if order == "file":
        return numbered
    if order in ORDERS:
        areas = {j: 0 if o.mask is None else int(o.mask.sum()) for j, o in numbered}
        return sorted(numbered, key=lambda pair: areas[pair[0]], reverse=order == "largest first")
    named = [part.strip() for part in order.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in named) or len(set(named)) < len(named):
        raise SedicError(f"The order {order!r} is neither one of {', '.join(ORDERS)} nor numbers such as 2,1,3.")
    places = {int(part): place for place, part in enumerate(named)}
    return sorted(numbered, key=lambda pair: places.get(pair[0], len(places)))
