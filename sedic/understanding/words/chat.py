"""Asks an OpenAI-compatible endpoint (OpenAI, vLLM, llama.cpp, Ollama, LM Studio, …), with the faults of real ones.

The ``openai`` package sends, waits and asks again: on 408, 409, 429 and 5xx where that may help, when the connection
breaks and when time runs out, twice at most, after the server's ``Retry-After`` (two minutes at most) or about 0.5 s,
then 1 s. ``client`` keeps it to the profile, ``refusals`` reads errors, ``completions`` answers, ``options`` gives up
what a server does not take.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import warnings
from collections.abc import Sequence
from typing import Any

from PIL import Image

from .client import INSIDE, open_client, unreachable
from .completions import Completion, read_completion
from .conversation import TextualizeError, Turn, Watch, jpeg, whole
from .endpoints import Endpoint
from .options import Concessions, known, options_without, remember
from .refusals import Refusal, read_refusal, who

RETRIES = 2
RETRY_WAIT = 120  # seconds: the longest Retry-After that is obeyed


class Chat:
    """One endpoint, as a :class:`.conversation.Provider`; what it refused once it is not sent again."""

    def __init__(self, endpoint: Endpoint) -> None:
        """See the class."""
        self.endpoint = endpoint
        self._noted = False

    @property
    def name(self) -> str:
        """Profile and model."""
        return f"The endpoint {self.endpoint.name!r} (model {self.endpoint.model})"

    @property
    def identity(self) -> str:
        """Address, model and what else of the profile an answer depends on."""
        return self.endpoint.identity

    def answer(self, picture: Image.Image, turns: Sequence[Turn], seed: int, tokens: int, watch: Watch) -> str:
        """The endpoint's next message; notes are told with :func:`warnings.warn`.

        The profile's ``max_tokens`` is sent, as models that think before they answer count their thoughts among them;
        ``tokens`` only where the endpoint wants fewer.
        """
        url = "data:image/jpeg;base64," + base64.b64encode(jpeg(picture)).decode("ascii")
        messages: list[dict[str, Any]] = [{"role": turn.role, "content": turn.text} for turn in turns]
        messages[0]["content"] = [
            {"type": "text", "text": turns[0].text},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        concessions = Concessions(known(self.endpoint))
        said, options = self._send(messages, concessions, seed, tokens, watch)
        most = int(options.get("max_tokens", 0))
        if said.cut and not whole(said.text) and said.tokens < 0.9 * most:
            # Stopped before the limit: at one of its own, as it knows the limit by its newer name alone.
            concessions.refused |= {"max_tokens"}
            said, options = self._send(messages, concessions, seed, tokens, watch)
        if said.refused:
            raise TextualizeError(f"{self.name} refuses to describe this picture; try another model, or type words.")
        if said.cut and not whole(said.text):
            raise TextualizeError(
                f"{self.name} reached its limit of tokens before its answer was whole (finish_reason length), perhaps "
                f"while still thinking; raise max_tokens of this profile ({self.endpoint.max_tokens} now), or turn its "
                "thoughts off with extra_body."
            )
        self._note_prose("response_format" in options, said.text)
        # Words go into a file: even a server that repeats the key brings it nowhere.
        return said.text.replace(self.endpoint.key, "…") if self.endpoint.key else said.text

    def _send(
        self, messages: list[dict], concessions: Concessions, draw: int, enough: int, watch: Watch
    ) -> tuple[Completion, dict[str, Any]]:
        """The answer, and the options with which it was had: those that the endpoint refuses are left out of them."""
        import openai

        failure = ""
        while True:
            options = options_without(concessions.refused, self.endpoint, draw, enough)
            try:
                body = self._wait(messages, options, watch, 0 if concessions.guessed else RETRIES)
                said = read_completion(body)
                if said is not None:
                    remember(self.endpoint, concessions.refused)
                    return said, options
                failure = _no_completion(self.endpoint)
            except openai.APIStatusError as error:
                refusal = _refusal(error)
                if not failure or refusal.reason.name not in ("other", "server"):  # nor is a guess's failure news
                    failure = refusal.sentence(self.endpoint, self.endpoint.max_tokens)
                if concessions.concede(refusal, options, enough):
                    failure = failure if concessions.guessed else ""
                    continue
            except openai.APITimeoutError:
                failure = _late(self.endpoint)
            except openai.APIConnectionError as error:
                failure = unreachable(error, self.endpoint)
            except (openai.OpenAIError, ValueError):  # a body that is not what it claims to be
                failure = _no_completion(self.endpoint)
            except TimeoutError:  # it sends a little all the time, and never ends
                failure = _late(self.endpoint)
            # Outside the except blocks: no chained exception may carry a server's text that repeats the key.
            raise TextualizeError(failure)

    def _wait(self, messages: list[dict], options: dict[str, Any], watch: Watch, retries: int) -> str:
        """Sends in another thread, so that ``watch`` can end the waiting; that thread ends with its time-out."""
        outcome: list[Any] = []
        thread = threading.Thread(target=self._request, args=(messages, options, retries, outcome), daemon=True)
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

    def _request(self, messages: list[dict], options: dict[str, Any], retries: int, outcome: list[Any]) -> None:
        """Puts the response's body into ``outcome``, or what went wrong."""
        try:
            with open_client(self.endpoint, retries) as client:
                create: Any = client.chat.completions.with_raw_response.create
                # As a body of their own: older versions of the package know fewer names.
                body = {**options, **self.endpoint.extra_body}
                response = create(model=self.endpoint.model, messages=messages, extra_body=body)
                outcome.append(response.http_response.text)
        except BaseException as error:  # raised again where it is waited for
            outcome.append(error)

    def _note_prose(self, structured: bool, text: str) -> None:
        try:
            json.loads(text, strict=False)
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


def _refusal(error: Any) -> Refusal:
    return read_refusal(error.status_code, error.response.text, INSIDE in error.response.headers)


def _no_completion(endpoint: Endpoint) -> str:
    return (
        f"{who(endpoint)} answered, but not as a chat-completions API does; check its base_url, which usually ends "
        "in /v1."
    )


def _late(endpoint: Endpoint) -> str:
    waited = f"{endpoint.timeout:g} s, three times"
    return f"{who(endpoint)} gave no answer within {waited}; raise its timeout or choose a faster model."
