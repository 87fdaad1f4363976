"""The noun that a name is about: "barn" of "red barn", "cup" of "cup of coffee", "man" of "old man riding a horse".

By rules for the short English phrases that names are. A list of all words would be surer, and a hundred times as large.
"""

from __future__ import annotations

import re

Span = tuple[int, int]

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What ends the noun's own words, from the second word on.
_LINKS = _listed(
    "of in on at with without from by near beside behind under over above below between inside outside across "
    "against along around through into onto upon for to as like among amid beneath beyond next opposite that "
    "which who whose where while is are has"
)
# Counts and shares, whose noun comes after "of"; the detector may find either.
_SHARES = _listed(
    "pair pairs group groups bunch couple set row rows herd flock crowd pile stack cluster lot lots number "
    "piece pieces slice slices kind type part parts heap swarm school team collection dozen array bit variety"
)
_ADJECTIVES = _listed(
    "red orange yellow green blue purple violet pink brown black white grey gray gold golden silver beige tan "
    "cyan maroon turquoise dark light bright pale colorful colourful big small large little tiny huge tall "
    "short long wide narrow thin thick old new young ancient modern round square flat tiered clean dirty wet "
    "dry plain metal steel iron brass copper glass stone brick concrete plastic paper leather wool cotton "
    "marble clay rubber tin wood hot cold warm open closed empty full happy sad smart cute fat slim male "
    "female left right upper lower front rear first second third a an the this one two three several many "
    "some"
)
_ADJECTIVE_ENDS = ("ish", "ous", "ful", "less", "den", "oolen", "ic", "ive", "door", "ed")
_NOUNS_IN_ING = _listed(
    "building ceiling painting wing ring king string clothing railing awning lightning evening morning swing "
    "sling wedding earring drawing siding flooring lighting duckling sibling pudding dressing icing crossing "
    "landing thing spring scaffolding bedding stocking carving offspring covering topping fencing roofing "
    "paving stuffing herring dumpling seedling sapling yearling darling filling plumbing legging housing "
    "casing molding moulding"
)
_NOUNS_IN_ED = _listed("bed seed shed reed weed sled moped hundred breed feed steed toolshed seabed flatbed seaweed")
_PLACES = _listed("left right foreground background center centre middle one ones")


def words_of(phrase: str) -> list[Span]:
    """Where the words of a phrase stand that name or describe a thing, as (start, end) in it."""
    return [
        word.span()
        for word in _WORD.finditer(phrase)
        if not word[0].isdigit() and word[0].lower() not in _LINKS | _PLACES | {"a", "an", "the", "and", "or"}
    ]


def heads_of(phrase: str) -> list[Span]:
    """Where the nouns stand that a phrase is about, as (start, end) in it; one of them is enough.

    Args:
        phrase: a name, in English.

    Returns:
        One place in most names, several for "dog and cat" or "group of people"; none where there is no word.

    >>> [[p[a:b] for a, b in heads_of(p)] for p in ("red barn", "cup of coffee", "old man riding a horse")]
    [['barn'], ['cup'], ['man']]
    """
    aside = re.search(r"(?<=\w)\s*[,;:(\[]", phrase)
    words = [(word[0].lower(), word.span()) for word in _WORD.finditer(phrase[: aside.start()] if aside else phrase)]
    heads: list[Span] = []
    start = 0
    for i, (word, _) in enumerate(words):
        if i <= start:
            continue
        share = word == "of" and words[i - 1][0] in _SHARES and i + 1 < len(words)
        if share:
            heads.append(words[i - 1][1])
            start = i + 1
        elif word in _LINKS or (_is_doing(word) and not _is_adjective(words[i - 1][0])):
            words = words[:i]
            break
    parts: list[list[tuple[str, Span]]] = [[]]
    for row in words[start:]:
        if row[0] in ("and", "or"):
            parts.append([])
        else:
            parts[-1].append(row)
    for part in parts:
        while len(part) > 1 and (part[-1][0].isdigit() or part[-1][0] in _PLACES or _is_done(part[-1][0])):
            part.pop()  # "boat 2", "car left", "man seated"
        # "black and white cat" is one thing, "dog and cat" are two.
        if part and (part is parts[-1] or not _is_adjective(part[-1][0])):
            heads.append(part[-1][1])
    return heads


def _is_doing(word: str) -> bool:
    return len(word) > 4 and word.endswith("ing") and word not in _NOUNS_IN_ING


def _is_done(word: str) -> bool:
    return len(word) > 4 and word.endswith("ed") and word not in _NOUNS_IN_ED


def _is_adjective(word: str) -> bool:
    return word in _ADJECTIVES or (word.endswith(_ADJECTIVE_ENDS) and word not in _NOUNS_IN_ED and len(word) > 4)
