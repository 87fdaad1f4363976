"""Asks an OpenAI-compatible endpoint (OpenAI, vLLM, llama.cpp, Ollama, LM Studio, …), with the faults of real ones.

The ``openai`` package sends, waits and asks again: on 408, 409, 429 and 5xx, when the connection breaks and when time
runs out, twice at most, after the server's ``Retry-After`` (two minutes at most) or about 0.5 s, then 1 s. Left for
here: options that an endpoint does not know, endpoints that take no pictures, sentences that never hold a key.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from .conversation import SCHEMA, TextualizeError, Turn, Watch, jpeg
from .endpoints import Endpoint

if TYPE_CHECKING:
    from openai import OpenAIError

RETRIES = 2
RETRY_WAIT = 120  # seconds: the longest Retry-After that is obeyed
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "semantics", "strict": True, "schema": SCHEMA}}
# How servers name an option that they do not know; in the order in which options are given up.
_NAMED = {
    "temperature": re.compile(r"\btemperature\b"),
    "seed": re.compile(r"\bseed\b"),
    "response_format": re.compile(r"response_?format|json_?schema|structured.?output|guided.?decod|grammar"),
}
_SILENT = ("response_format", "seed")  # given up one by one where a server does not say what it dislikes
# How servers say that a model has no eyes: OpenAI, vLLM, llama.cpp, LM Studio, OpenRouter, DeepSeek, Groq.
_NO_PICTURES = re.compile(
    r"image_url is only supported|images? (input )?(is |are )?not supported|at most 0 image|not a multi-?modal|"
    r"(not|n't|no endpoints found that) support(s|ed|ing)? (image|vision|multi-?modal)|mmproj|"
    r"unknown variant .?image_url|content.{0,20} must be a string|(image|vision|multi-?modal)\S* (is |are )?unsupported"
)


class Chat:
    """One endpoint, as a :class:`.conversation.Provider`; what it refused once it is not sent again."""

    def __init__(self, endpoint: Endpoint) -> None:
        """See the class."""
        self.endpoint = endpoint
        self._refused: set[str] = set()
        self._noted = False

    @property
    def name(self) -> str:
        """Profile and model."""
        return f"The endpoint {self.endpoint.name!r} (model {self.endpoint.model})"

    @property
    def identity(self) -> str:
        """Address and model."""
        return f"{self.endpoint.base_url} {self.endpoint.model}"

    def answer(self, picture: Image.Image, turns: Sequence[Turn], seed: int, tokens: int, watch: Watch) -> str:
        """The endpoint's next message; notes are told with :func:`warnings.warn`.

        ``tokens`` is not sent: models that think before they answer count their thoughts among them.
        """
        url = "data:image/jpeg;base64," + base64.b64encode(jpeg(picture)).decode("ascii")
        messages: list[dict[str, Any]] = [{"role": turn.role, "content": turn.text} for turn in turns]
        messages[0]["content"] = [
            {"type": "text", "text": turns[0].text},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        options = {"temperature": 0, "seed": seed, "response_format": RESPONSE_FORMAT}
        options = {key: value for key, value in options.items() if key not in self._refused}
        text = self._read(self._send(messages, options, watch))
        self._note_prose("response_format" in options, text)
        return text

    def _send(self, messages: list[dict], options: dict[str, Any], watch: Watch) -> Any:
        """The response; an option that the endpoint does not know is taken out of ``options`` and asked without."""
        import openai

        while True:
            try:
                return self._wait(messages, options, watch)
            except openai.APIStatusError as error:
                unwanted = _unwanted(error, options)
                failure = _sentence(error, self.endpoint)
                if unwanted:
                    del options[unwanted]
                    self._refused.add(unwanted)
                    continue
            except openai.OpenAIError as error:
                failure = _sentence(error, self.endpoint)
            except TimeoutError:  # it sends a little all the time, and never ends
                failure = _late(self.endpoint)
            except ValueError:  # a body that is not the JSON it claims to be
                failure = _no_completion(self.endpoint)
            # Outside the except blocks: no chained exception may carry a server's text that repeats the key.
            raise TextualizeError(failure)

    def _wait(self, messages: list[dict], options: dict[str, Any], watch: Watch) -> Any:
        """Sends in another thread, so that ``watch`` can end the waiting; that thread ends with its time-out."""
        outcome: list[Any] = []
        thread = threading.Thread(target=self._request, args=(messages, options, outcome), daemon=True)
        thread.start()
        end = time.monotonic() + (RETRIES + 1) * self.endpoint.timeout + RETRIES * RETRY_WAIT
        while thread.is_alive():
            watch()
            if time.monotonic() > end:
                raise TimeoutError
            thread.join(0.1)
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    def _request(self, messages: list[dict], options: dict[str, Any], outcome: list[Any]) -> None:
        try:
            from openai import OpenAI

            # A server without keys still needs some word here: the client takes an empty one from OPENAI_API_KEY.
            with OpenAI(
                base_url=self.endpoint.base_url,
                api_key=self.endpoint.key or "none",
                timeout=self.endpoint.timeout,
                max_retries=RETRIES,
            ) as client:
                create: Any = client.chat.completions.create
                outcome.append(create(model=self.endpoint.model, messages=messages, **options))
        except BaseException as error:  # raised again where it is waited for
            outcome.append(error)

    def _read(self, response: Any) -> str:
        try:
            choice = response.choices[0]
            message, reason = choice.message, choice.finish_reason
        except (AttributeError, TypeError, IndexError):  # a web page, or JSON of another kind
            message = None
        if message is None:
            raise TextualizeError(_no_completion(self.endpoint))
        if getattr(message, "refusal", None) or reason == "content_filter":
            raise TextualizeError(f"{self.name} refuses to describe this picture; try another model, or type words.")
        text = message.content if isinstance(message.content, str) else ""
        # Words go into a file: even a server that repeats the key brings it nowhere.
        return text.replace(self.endpoint.key, "…") if self.endpoint.key else text

    def _note_prose(self, structured: bool, text: str) -> None:
        try:
            json.loads(text)
            keeps = structured
        except (ValueError, RecursionError):
            keeps = structured and (not text.strip() or text.lstrip().startswith("{"))  # cut short is another fault
        if not keeps and not self._noted:
            self._noted = True
            warnings.warn(
                f"{self.name} has no structured output, so it was asked in plain words; a server or model that has it "
                "keeps to the form more surely.",
                stacklevel=2,
            )


def _unwanted(error: Any, options: dict[str, Any]) -> str | None:
    """The option to give up, if one may be the reason for the error."""
    if error.status_code not in (400, 422):
        return None
    told = str(error).lower()
    named = [option for option, pattern in _NAMED.items() if option in options and pattern.search(told)]
    if named or _NO_PICTURES.search(told):
        return named[0] if named else None
    return next((option for option in _SILENT if option in options), None)


def _no_completion(endpoint: Endpoint) -> str:
    return (
        f"The endpoint {endpoint.name!r} ({endpoint.host}) answered, but not as a chat-completions API does; "
        "check its base_url, which usually ends in /v1."
    )


def _late(endpoint: Endpoint) -> str:
    waited = f"{endpoint.timeout:g} s, three times"
    return (
        f"The endpoint {endpoint.name!r} ({endpoint.host}) gave no answer within {waited}; "
        "raise its timeout or choose a faster model."
    )


def _sentence(error: OpenAIError, endpoint: Endpoint) -> str:
    """What went wrong and what to do, without the server's own words, which may repeat the key."""
    import openai

    who = f"The endpoint {endpoint.name!r} ({endpoint.host})"
    if isinstance(error, openai.APITimeoutError):
        return _late(endpoint)
    if isinstance(error, openai.APIConnectionError):
        return f"{who} cannot be reached; start the server, or check base_url and the network."
    status = getattr(error, "status_code", None)
    if status is None or status < 400:
        return _no_completion(endpoint)
    if _NO_PICTURES.search(str(error).lower()):
        return f"{who} takes no pictures with model {endpoint.model!r} (HTTP {status}); choose a model with vision."
    if status in (401, 403):
        return f"{who} does not accept the key (HTTP {status}); check key or key_env of this profile."
    if status == 404:
        return f"{who} knows no such model or address (HTTP 404); check model {endpoint.model!r} and base_url."
    if status == 429:
        return f"{who} turns requests away (HTTP 429, rate limit or empty account); wait, or look at the account."
    if status >= 500:
        return f"{who} failed on its side (HTTP {status}), three times; look at the server's log or try later."
    return f"{who} rejects the request (HTTP {status}); check that model {endpoint.model!r} takes pictures."
