"""A picture into words: the three-part question to a vision-language model, or words that a person typed.

The question (``question.txt``) follows the paper's template (section III-A, Fig. 3): important objects, details of
each, the picture as a whole. It goes as one structured-output request to any OpenAI-compatible endpoint.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import SedicError
from ..semantics import Limits, SceneObject, Semantics
from .endpoints import Endpoint

if TYPE_CHECKING:
    from openai import OpenAI, OpenAIError

LONG_SIDE = 768  # pixels sent: more costs tokens and adds nothing that fifty words can say
SCHEMA = {
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
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "semantics", "strict": True, "schema": SCHEMA}}


class TextualizeError(SedicError):
    """No usable words came: from the endpoint, or from what was typed."""


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


def textualize(image: np.ndarray, endpoint: Endpoint, limits: Limits = Limits()) -> Semantics:
    """Asks the endpoint what the picture shows.

    An answer that breaks the form or the limits is sent back once to be mended; what is still too long then is cut,
    which :func:`warnings.warn` tells.

    Args:
        image: (H, W, 3) uint8.
        endpoint: where to ask, see :func:`.endpoints.read_endpoint`.
        limits: most objects and words.

    Returns:
        Semantics within the limits, without masks.

    Raises:
        TextualizeError: the endpoint cannot be reached or used, refuses, or does not answer in the form asked for.
    """
    from openai import OpenAI

    content = [
        {"type": "text", "text": question(limits)},
        {"type": "image_url", "image_url": {"url": data_url(image)}},
    ]
    messages: list[dict] = [{"role": "user", "content": content}]
    options: dict[str, Any] = {"temperature": 0, "response_format": RESPONSE_FORMAT}
    # A server without keys still needs some word here: the client takes an empty one from OPENAI_API_KEY.
    key = endpoint.key or "none"
    with OpenAI(base_url=endpoint.base_url, api_key=key, timeout=endpoint.timeout, max_retries=2) as client:
        answer = _ask(client, endpoint, messages, options)
        semantics, problem = read_answer(answer, limits)
        if problem:
            messages += [{"role": "assistant", "content": answer or "…"}, {"role": "user", "content": _repair(problem)}]
            try:
                mended, problem = read_answer(_ask(client, endpoint, messages, options), limits)
            except TextualizeError:
                if semantics is None:
                    raise
                mended = None
            semantics = mended or semantics
    if semantics is None:
        raise TextualizeError(
            f"The endpoint {endpoint.name!r} (model {endpoint.model}) did not answer in the form asked for, even "
            f"when asked again: {problem}; try another model, or type the words."
        )
    return semantics.limited(limits)


def typed(text: str) -> Semantics:
    """Reads words that a person typed: Semantics JSON, or one line an object.

    >>> words = typed('''red barn: weathered boards, white doors
    ... overall: a red barn beside a pond, summer morning''')
    >>> words.objects[0].name, words.overall
    ('red barn', 'a red barn beside a pond, summer morning')

    A line ``name: detail`` is an object, in the order of restoration; the detail may be empty. The line that begins
    with ``overall:``, or else the one line without a colon, is the overall text. Blank lines do not count.

    Raises:
        TextualizeError: nothing typed, a line without a name, or two overall texts.
        SemanticsError: begins like JSON and is not Semantics JSON.
    """
    if text.lstrip().startswith("{"):
        return Semantics.from_json(text)
    objects: list[SceneObject] = []
    overall: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, rest = (part.strip() for part in line.partition(":"))
        if not colon or name.lower() == "overall":
            overall.append(rest if colon else line)
        elif name:
            objects.append(SceneObject(name, rest))
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


def data_url(image: np.ndarray) -> str:
    """The picture, (H, W, 3) uint8, at most 768 pixels long, as a JPEG in a data URL."""
    picture = Image.fromarray(image)
    picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def read_answer(answer: str, limits: Limits) -> tuple[Semantics | None, str]:
    """Finds the JSON object in an answer and checks it.

    Returns:
        The semantics (None where the answer has none of the right form) and what is wrong with the answer, "" if
        nothing is: semantics with a problem are only too long.
    """
    problem = "it holds no JSON object" if "{" not in answer else "its JSON is cut short or broken"
    for data in _json_objects(answer):
        if "objects" not in data and "overall" not in data:
            continue  # a part of an answer that was cut short, or an example in the model's train of thought
        problem = _wrong_form(data)
        if not problem:
            objects = tuple(SceneObject(_line(o["name"]), _line(o["detail"])) for o in data["objects"])
            semantics = Semantics(_line(data["overall"]), objects)
            return semantics, _too_long(semantics, limits)
    return None, problem


def _json_objects(answer: str) -> Iterator[dict]:
    """The outermost JSON objects of a text, which may have prose, a code fence or a train of thought around them."""
    decoder = json.JSONDecoder()
    start = answer.find("{")
    while start >= 0:
        try:
            data, end = decoder.raw_decode(answer, start)
        except (json.JSONDecodeError, RecursionError):
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


def _repair(problem: str) -> str:
    return (
        f"There is something to mend in your answer: {problem}. "
        "Answer again with the JSON object alone, in the form and within the limits asked for."
    )


def _ask(client: OpenAI, endpoint: Endpoint, messages: list[dict], options: dict[str, Any]) -> str:
    """One answer's text; an option that the endpoint does not know is taken out of ``options`` and asked without."""
    import openai

    while True:
        try:
            response = client.chat.completions.create(model=endpoint.model, messages=messages, **options)  # type: ignore
            break
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            failure = _sentence(error, endpoint)
            unknown = "temperature" if "temperature" in str(error) else "response_format"
            if options.pop(unknown, None) is not None:
                continue
        except openai.OpenAIError as error:
            failure = _sentence(error, endpoint)
        except ValueError:  # a body that is not the JSON it claims to be
            failure = _no_completion(endpoint)
        # Outside the except blocks: no chained exception may carry a server's text that repeats the key.
        raise TextualizeError(failure)
    try:
        choice = response.choices[0]
        message, reason = choice.message, choice.finish_reason
    except (AttributeError, TypeError, IndexError):  # a web page, or JSON of another kind
        message = None
    if message is None:
        raise TextualizeError(_no_completion(endpoint))
    if getattr(message, "refusal", None) or reason == "content_filter":
        raise TextualizeError(
            f"The model {endpoint.model} of the endpoint {endpoint.name!r} refuses to describe this picture; "
            "try another model, or type the words."
        )
    return message.content if isinstance(message.content, str) else ""


def _no_completion(endpoint: Endpoint) -> str:
    return (
        f"The endpoint {endpoint.name!r} ({endpoint.host}) answered, but not as a chat-completions API does; "
        "check its base_url, which usually ends in /v1."
    )


def _sentence(error: OpenAIError, endpoint: Endpoint) -> str:
    """What went wrong and what to do, without the server's own words, which may repeat the key."""
    import openai

    who = f"The endpoint {endpoint.name!r} ({endpoint.host})"
    if isinstance(error, openai.APITimeoutError):
        waited = f"{endpoint.timeout:g} s, three times"
        return f"{who} gave no answer within {waited}; raise its timeout or choose a faster model."
    if isinstance(error, openai.APIConnectionError):
        return f"{who} cannot be reached; start the server, or check base_url and the network."
    status = getattr(error, "status_code", None)
    if status is None or status < 400:
        return _no_completion(endpoint)
    if status in (401, 403):
        return f"{who} does not accept the key (HTTP {status}); check key or key_env of this profile."
    if status == 404:
        return f"{who} knows no such model or address (HTTP 404); check model {endpoint.model!r} and base_url."
    if status == 429:
        return f"{who} turns requests away (HTTP 429, rate limit or empty account); wait, or look at the account."
    if status >= 500:
        return f"{who} failed on its side (HTTP {status}), three times; look at the server's log or try later."
    return f"{who} rejects the request (HTTP {status}); check that model {endpoint.model!r} takes pictures."
