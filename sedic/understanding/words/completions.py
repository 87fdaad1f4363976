"""What a chat-completions server has answered, in the many shapes in which servers answer.

The ``openai`` package reads the one shape of OpenAI; here the body itself is read. A text may come as parts, as a
tool's arguments or as a stream that nobody asked for; an error may come with the status 200.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .conversation import whole
from .thoughts import without_thoughts

_FILTERS = re.compile(r"filter|safety|prohibited|sensitive|recitation|blocklist|spii|refusal|moderation")
_CUT = re.compile(r"length|max_?(output_?)?tokens|token_limit|context_window")
_BROKEN = re.compile(r"error|insufficient_system_resource|abort")
# Where thoughts stand beside the text: vLLM and DeepSeek, OpenRouter and Ollama, others.
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thinking_content", "thought")
_CODES = ("code", "status_code", "status", "http_code", "error_code")


@dataclass(frozen=True)
class Completion:
    """One answer.

    Attributes:
        text: what the model says, without its thoughts; read from the field of thoughts where nothing else is there,
            and thoughts alone where that is all there is.
        cut: whether the model was stopped before it had ended.
        refused: whether the model or a filter refuses to answer.
        tokens: how many the server counts, or else a guess from the text.
    """

    text: str
    cut: bool
    refused: bool
    tokens: int


def read_completion(body: str) -> Completion | None:
    """The answer in a response's body; None where it is none of a chat-completions server."""
    data = _parsed(body)
    choice = _choice(data)
    if choice is None:
        return None
    message = choice.get("message")
    message = message if isinstance(message, dict) else choice
    reasons = " ".join(str(choice.get(key)).lower() for key in ("finish_reason", "native_finish_reason"))
    cut = bool(_CUT.search(reasons))
    said = _text(message.get("content")) or _text(choice.get("text"))
    text = without_thoughts(said)
    thought = "\n".join(filter(None, (_text(message.get(key)) for key in (*_THOUGHTS, "reasoning_details"))))
    if not text.strip():
        text = _tool(message)
    if not text.strip() and not cut:
        # Some servers take a whole answer for thoughts. Marks among them say where the answer begins.
        text = without_thoughts(thought) if whole(thought) else thought
    refused = bool(message.get("refusal")) or (bool(_FILTERS.search(reasons)) and not whole(text))
    text = text if text.strip() else said  # thoughts alone, which are told as such
    usage = data.get("usage")
    counted = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return Completion(text, cut, refused, counted if isinstance(counted, int) else len(said + thought) // 3)


def error_inside(body: str) -> int | None:
    """The HTTP status that fits an error which came as a success; None where the body is no such error."""
    data = _parsed(body)
    choice = _choice(data)
    if choice is not None:
        reason = str(choice.get("finish_reason")).lower()
        said = read_completion(body)
        if (said is not None and said.text.strip()) or not (choice.get("error") or _BROKEN.search(reason)):
            return None
        return _status(choice.get("error")) or 503
    if re.search(r'"filtered":\s*true|block_?reason', body, re.IGNORECASE):
        return 400
    base = data.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return 429 if base["status_code"] in (1002, 1039) else 400  # MiniMax: its rate limits
    error = data.get("error") or data.get("errors") or data.get("detail")
    told = error or data.get("object") == "error" or (data.get("code") and (data.get("message") or data.get("msg")))
    return (_status(error) or _status(data) or 500) if told else None


def _parsed(body: str) -> dict[str, Any]:
    """The response's object, out of a list or an envelope that stands around it; empty where there is none."""
    if body.lstrip().startswith(("data:", "event:", ":")):
        return _streamed(body)
    try:
        data = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return {}
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        return {}
    inner = [data.get(key) for key in ("result", "data", "output", "response") if "choices" not in data]
    return next((d for d in inner if isinstance(d, dict) and "choices" in d), data)


def _streamed(body: str) -> dict[str, Any]:
    """One response out of a stream's pieces."""
    message: dict[str, str] = {}
    choice: dict[str, Any] = {"message": message}
    last: dict[str, Any] = {}
    for line in body.splitlines():
        if not line.startswith("data:") or line.strip() == "data: [DONE]":
            continue
        piece = _parsed(line[len("data:") :].strip())
        part = _choice(piece)
        last = {**last, **{key: value for key, value in piece.items() if value}}
        if part is None:
            continue
        delta = part.get("delta") or part.get("message") or {}
        for key in ("content", *_THOUGHTS):
            message[key] = message.get(key, "") + _text(delta.get(key))
        choice["finish_reason"] = part.get("finish_reason") or choice.get("finish_reason")
    return {**last, "choices": [choice]} if message else last


def _choice(data: dict[str, Any]) -> dict[str, Any] | None:
    choices = data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not {"message", "delta", "text", "error"} & set(first):
        return None
    return first


def _text(content: Any) -> str:
    """The words of a content: a text, parts of one, or the object itself; parts that are thoughts are none of it."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(map(_text, content))
    if not isinstance(content, dict) or content.get("type") in ("thinking", "reasoning", "redacted_thinking"):
        return ""
    if "text" in content or "type" in content:
        return _text(content.get("text") or content.get("summary"))
    return json.dumps(content)


def _tool(message: dict[str, Any]) -> str:
    """The arguments of a tool that the model has called instead of answering, or an answer that was parsed already."""
    calls = message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else message
    function = call.get("function" if call is not message else "function_call") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    return _text(arguments) or _text(message.get("parsed"))


def _status(error: Any) -> int | None:
    for row in error if isinstance(error, list) else [error]:
        for key in _CODES if isinstance(row, dict) else ():
            code = str(row.get(key))
            if code.isdigit() and 400 <= int(code) <= 599:
                return int(code)
    return None
