"""A picture into words: the three-part question to a vision-language model, or words that a person typed.

The question (``question.txt``) follows the paper's template (section III-A, Fig. 3): important objects, details of
each, the picture as a whole. It goes as one request to a provider (``chat``, ``local``); ``memory`` keeps the answer.
"""

from __future__ import annotations

import re
import secrets
import warnings
from pathlib import Path

import numpy as np

from ...semantics import Limits, SceneObject, Semantics, SemanticsError
from ...word_count import may_be_english
from .chat import Chat
from .conversation import Provider, TextualizeError, Turn, Watch, read_answer, shrink
from .endpoints import Endpoint
from .local import load_local
from .memory import AnswerCache
from .thoughts import without_thoughts

SEED = 0
# With its number, so that no server on the way takes it for the question that it has answered already.
MARKS = re.compile(r"^\s*(?:```.*|(?:[-*•]|\d+[.)])\s+)|\*\*")  # Markdown: a fence, an entry of a list, bold words
AGAIN = "\n\nYou were asked this before (this is time {}): look again, and answer in other words than come first."


def question(limits: Limits = Limits()) -> str:
    """The paper's three-part question with J, l_n, l_d and l_all filled in."""
    text = Path(__file__).with_name("question.txt").read_text(encoding="utf-8")
    values = {
        "{J}": limits.objects,
        "{l_n}": limits.name_words,
        "{l_d}": limits.detail_words,
        "{l_all}": limits.overall_words,
    }
    for placeholder, value in values.items():
        text = text.replace(placeholder, str(value))
    return text


def provider_of(endpoint: Endpoint, device: str = "cpu") -> Provider:
    """What a profile names: an address on the network, or a local folder, whose model goes to ``device``.

    Raises:
        ModelError: the folder cannot be used.
    """
    if endpoint.folder is None:
        return Chat(endpoint)
    local = load_local(endpoint.folder)
    local.model.to(device)
    return local


def textualize(
    image: np.ndarray,
    provider: Provider,
    limits: Limits = Limits(),
    seed: int = SEED,
    memory: AnswerCache | None = None,
    watch: Watch = lambda: None,
) -> Semantics:
    """Asks a model what the picture shows.

    An answer that breaks the form or the limits is sent back once to be mended; what is still too long then is cut,
    which :func:`warnings.warn` tells.

    Args:
        image: (H, W, 3) uint8.
        provider: whom to ask, see :func:`provider_of`.
        limits: most objects and words.
        seed: 0 asks for the likeliest words, every other number for others, the same again for the same number.
        memory: answers asked for before are taken from it and new ones kept there; None asks always. Where it asks
            again, other words than the seed's are asked for and kept in their place.
        watch: called every now and then while waiting; what it raises ends the waiting.

    Returns:
        Semantics within the limits, without masks.

    Raises:
        TextualizeError: no answer came, a refusal, or none in the form asked for.
    """
    asked = question(limits)
    semantics = memory.find(image, asked, provider.identity, seed) if memory else None
    if semantics is None:
        draw = secrets.randbelow(2**31 - 2) + 1 if memory and memory.ask_again else seed
        semantics = _ask(image, provider, asked, limits, draw, watch)
        if memory:
            memory.keep(image, asked, provider.identity, seed, semantics)
    else:
        warnings.warn("These words were asked for earlier, with the same picture, question and model.", stacklevel=2)
    semantics = semantics.limited(limits)
    note_foreign(semantics)
    return semantics


def note_foreign(semantics: Semantics) -> None:
    """Tells with :func:`warnings.warn` where words are not in English, as far as their script shows it."""
    texts = [*(o.name for o in semantics.objects), *(o.detail for o in semantics.objects), semantics.overall]
    foreign = next((text for text in texts if not may_be_english(text)), "")
    if foreign:
        shown = foreign if len(foreign) <= 20 else f"{foreign[:20]}…"
        warnings.warn(
            f"These words are not in English ({shown!r}): the detector and most decoders' models read English alone, "
            "and may find and draw nothing of them.",
            stacklevel=3,
        )


def _ask(image: np.ndarray, provider: Provider, asked: str, limits: Limits, draw: int, watch: Watch) -> Semantics:
    """The model's answer, after one request to mend it where it needs that; may still be too long."""
    picture = shrink(image)
    words = limits.objects * (limits.name_words + limits.detail_words) + limits.overall_words
    tokens = 4 * words + 256  # long words, and the braces and quotes of JSON
    turns = [Turn("user", asked + (AGAIN.format(draw) if draw else ""))]
    answer = provider.answer(picture, turns, draw, tokens, watch)
    semantics, problem = read_answer(answer, limits)
    if problem:
        turns += [Turn("assistant", answer or "…"), Turn("user", _repair(problem))]
        try:
            mended, problem = read_answer(provider.answer(picture, turns, draw, tokens, watch), limits)
        except TextualizeError:
            if semantics is None:
                raise
            mended = None
        semantics = mended or semantics
    if semantics is None:
        raise TextualizeError(
            f"{provider.name} did not answer in the form asked for, even when asked again: {problem}; "
            "try another model, or type the words."
        )
    return semantics


def _repair(problem: str) -> str:
    return (
        f"There is something to mend in your answer: {problem}. "
        "Answer again with the JSON object alone, in the form and within the limits asked for."
    )


def typed(text: str) -> Semantics:
    """Reads words that a person typed, or another node wrote: Semantics JSON, or one line an object.

    >>> words = typed('''red barn: weathered boards, white doors
    ... overall: a red barn beside a pond, summer morning''')
    >>> words.objects[0].name, words.overall
    ('red barn', 'a red barn beside a pond, summer morning')

    A line ``name: detail`` is an object, in the order of restoration; the detail may be empty, and the colon that of
    Chinese and Japanese keyboards. The line that begins with ``overall:``, or else the one line without a colon, is the
    overall text. Blank lines do not count. A language model's answer is read as :func:`textualize` reads it: its
    thoughts, prose and code fences around JSON do not count, nor do the marks of a list or of bold words.

    Raises:
        TextualizeError: nothing typed, a line without a name, two overall texts, or an answer cut short.
        SemanticsError: begins like JSON and is not Semantics JSON.
    """
    answer, problem = read_answer(text, Limits())
    if text.lstrip().startswith("{"):
        try:
            return Semantics.from_json(text)
        except SemanticsError:
            if answer is None:
                raise
    if answer is not None:
        return answer
    said = without_thoughts(text)
    if '"objects"' in said or (text.strip() and not said.strip()):
        raise TextualizeError(
            f"The words are a language model's answer, but {problem}; let it write longer (max_length), without "
            "thinking, or ask it again."
        )
    objects: list[SceneObject] = []
    overall: list[str] = []
    for line in filter(None, (MARKS.sub("", line).strip() for line in said.splitlines())):
        name, *rest = (part.strip() for part in re.split("[:：]", line, maxsplit=1))
        if not rest or name.lower() == "overall":
            overall.append(rest[0] if rest else line)
        elif name:
            objects.append(SceneObject(name, rest[0]))
        else:
            raise TextualizeError(f"The line {line!r} has no name before its colon; write it as name: detail.")
    if len(overall) > 1:
        raise TextualizeError(
            f"There are {len(overall)} overall texts, the second is {overall[1]!r}; "
            "write objects as name: detail and one line that begins with overall:."
        )
    if not objects and not any(overall):
        raise TextualizeError("No words were typed; write objects as name: detail and one line overall: text.")
    return Semantics("".join(overall), tuple(objects))
