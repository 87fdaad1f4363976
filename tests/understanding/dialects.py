"""How servers speak: a table of answers as people quote them, and what should come of each.

``docs/language-models.md`` shows it; a test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .chat_server import GOOD, completion, failure

Answer = Callable[[dict], tuple[int, str]]
WORDS = json.dumps(GOOD)
DRAFT = '{"objects": [], "overall": "a draft"}'


@dataclass(frozen=True)
class Dialect:
    """One way to answer.

    Attributes:
        name: in the page's table and in the test's name.
        answer: from a request's body to (status, text).
        told: a pattern of the sentence that ends it; "" where words come of it.
        never: a pattern that the sentence must not match.
        requests: how many are sent.
        without: options that the last request must lack; all others must be there.
    """

    name: str
    answer: Answer
    told: str = ""
    never: str = "^$"
    requests: int = 1
    without: tuple[str, ...] = ()


def always(status: int, body: Any) -> Answer:
    """The same answer to everything."""
    return lambda _: (status, body if isinstance(body, str) else json.dumps(body, ensure_ascii=False))


def says(content: Any, **message: Any) -> Answer:
    """A completion."""
    return lambda _: completion(content, **message)


def refuses(option: str, status: int, body: Any) -> Answer:
    """An error while a request carries the option, good words otherwise."""
    return lambda request: always(status, body)(request) if option in request else completion(WORDS)


def error(text: str, **more: Any) -> dict:
    """OpenAI's form of an error."""
    return {"error": {"message": text, **more}}


def _too_many(body: dict) -> tuple[int, str]:
    if body["max_tokens"] > 2000:
        return failure(
            400,
            "maximum context length is 4096 tokens, you requested 9000 (808 in the messages, 8192 in the completion)",
        )
    return completion(WORDS)


def _newer_limit(body: dict) -> tuple[int, str]:
    if "max_completion_tokens" in body:
        return completion(WORDS)
    return completion(WORDS[:30], finish_reason="length")


def _stream(*pieces: dict) -> str:
    rows = [{"choices": [{"index": 0, "delta": piece}]} for piece in pieces]
    return "".join(f"data: {json.dumps(row)}\n\n" for row in rows) + "data: [DONE]\n\n"


UNKNOWN = 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'
RAW = json.dumps(error("Unsupported parameter: 'temperature'"))
OLD_LIMIT = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

REFUSED_OPTIONS = [
    Dialect("Gemini: a list", refuses("seed", 400, [error(UNKNOWN, code=400)]), requests=2, without=("seed",)),
    Dialect(
        "OpenRouter: metadata.raw",
        refuses("temperature", 400, error("Provider returned error", metadata={"raw": RAW})),
        requests=2,
        without=("temperature",),
    ),
    Dialect(
        "Mistral: a detail list",
        refuses(
            "seed", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "not permitted"}]}
        ),
        requests=2,
        without=("seed",),
    ),
    Dialect(
        "FastAPI: the request repeated",
        refuses(
            "seed", 422, {"detail": [{"loc": ["body"], "msg": "extra: seed", "input": {"temperature": 0, "format": 1}}]}
        ),
        requests=2,
        without=("seed",),
    ),
    Dialect(
        "OpenAI: param",
        refuses("temperature", 400, error("Only the default (1) value is allowed: seed, format", param="temperature")),
        requests=2,
        without=("temperature",),
    ),
    Dialect(
        "OpenAI: max_completion_tokens",
        refuses("max_tokens", 400, error(OLD_LIMIT)),
        requests=2,
        without=("max_tokens",),
    ),
    Dialect("vLLM: fewer tokens", _too_many, requests=2),
    Dialect(
        "serde: the options that there are",
        refuses("seed", 422, "unknown field `seed`, expected one of `model`, `temperature`, `response_format`"),
        requests=2,
        without=("seed",),
    ),
    Dialect(
        "LiteLLM: UnsupportedParamsError",
        refuses("seed", 400, error("litellm.UnsupportedParamsError: groq does not support parameters: ['seed']")),
        requests=2,
        without=("seed",),
    ),
    Dialect(
        "Django: the option as key", refuses("seed", 400, {"seed": ["Unknown field."]}), requests=2, without=("seed",)
    ),
    Dialect(
        "a web page",
        refuses("seed", 400, "<html><body>seed: no such field</body></html>"),
        requests=2,
        without=("seed",),
    ),
    Dialect(
        "DeepSeek: response_format",
        refuses("response_format", 400, error("This response_format type is unavailable now")),
        requests=2,
        without=("response_format",),
    ),
    Dialect(
        "Ollama: 500 by structured output",
        refuses("response_format", 500, error("failed to load model vocabulary required for format")),
        requests=2,
        without=("response_format",),
    ),
    Dialect(
        "500 without a word, by structured output",
        refuses("response_format", 500, "Internal Server Error"),
        requests=4,
        without=("response_format",),
    ),
    Dialect(
        "400 without a word, by a number",
        refuses("seed", 400, "Bad Request"),
        requests=3,
        without=("seed", "temperature", "max_tokens"),
    ),
]

SHAPES = [
    Dialect("parts", says([{"type": "text", "text": WORDS[:20]}, {"type": "text", "text": WORDS[20:]}])),
    Dialect(
        "Magistral: parts with thoughts",
        says([{"type": "thinking", "thinking": [{"type": "text", "text": DRAFT}]}, {"type": "text", "text": WORDS}]),
    ),
    Dialect("Ollama, OpenRouter: reasoning", says("", reasoning=f"The user wants JSON. {WORDS}")),
    Dialect("vLLM, DeepSeek: reasoning_content", says(None, reasoning_content=WORDS)),
    Dialect("OpenRouter: reasoning_details", says(None, reasoning_details=[{"type": "reasoning.text", "text": WORDS}])),
    Dialect("thoughts beside the answer", says(WORDS, reasoning_content=DRAFT)),
    Dialect("a tool call", says(None, tool_calls=[{"function": {"name": "semantics", "arguments": WORDS}}])),
    Dialect("the object itself", says(GOOD)),
    Dialect("a stream that nobody asked for", always(200, _stream({"content": WORDS[:9]}, {"content": WORDS[9:]}))),
    Dialect(
        "an envelope around the response", lambda body: (200, json.dumps({"result": json.loads(says(WORDS)(body)[1])}))
    ),
    Dialect("an envelope around the answer", says(json.dumps({"semantics": GOOD}))),
    Dialect("the answer as a text inside JSON", says(json.dumps({"answer": WORDS}))),
    Dialect("a raw newline in a text", says(WORDS.replace("a red barn beside", "a red barn\nbeside"))),
    Dialect("a comma too many", says(WORDS.replace('""}]', '""},]'))),
    Dialect(
        "the question's form repeated", says('{"objects": [{"name": "…", "detail": "…"}], "overall": "…"}' + WORDS)
    ),
    Dialect("Python instead of JSON", says(str(GOOD))),
    Dialect("keys in capitals", says(WORDS.replace("objects", "Objects").replace("name", "Name"))),
    Dialect("a draft, then the answer", says(f"First: {DRAFT} No: {WORDS}")),
    Dialect("Qwen, DeepSeek: think tags", says(f"<think>{DRAFT}</think>{WORDS}")),
    Dialect("a closing think tag alone", says(f"{DRAFT}</think>{WORDS}")),
    Dialect("Gemini: thought tags", says(f"<thought>{DRAFT}</thought>{WORDS}")),
    Dialect("thinking and reasoning tags", says(f"<thinking>{DRAFT}</thinking><reasoning>{DRAFT}</reasoning>{WORDS}")),
    Dialect("an answer, then thoughts", says(f"{WORDS}<think>or {DRAFT}")),
    Dialect("Seed-OSS: seed:think tags", says(f"<seed:think>{DRAFT}</seed:think>{WORDS}")),
    Dialect("Magistral: THINK in brackets", says(f"[THINK]{DRAFT}[/THINK]{WORDS}")),
    Dialect("Kimi-VL: ◁think▷", says(f"◁think▷{DRAFT}◁/think▷{WORDS}")),
    Dialect(
        "gpt-oss: channels",
        says(f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{WORDS}"),
    ),
    Dialect("Cohere: START_THINKING", says(f"<|START_THINKING|>{DRAFT}<|END_THINKING|>{WORDS}")),
    Dialect("mlx-vlm: its own limit, but for max_completion_tokens", _newer_limit, requests=2, without=("max_tokens",)),
]
