"""What a model thinks before it answers, taken out of its answer: a draft among its thoughts is not what it says.

Servers are meant to put thoughts into a field of their own; where they do not, thoughts stand in the text between marks
that differ from family to family, and either mark may be missing: the first where the prompt's template has written it,
the last where the model was stopped while it thought.
"""

from __future__ import annotations

import re

_NAME = (
    r"(?:[a-z]+[:_-])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion)?|scratchpad|analysis|monologue)(?:_\w+)?"
)
_OPEN = (
    rf"<{_NAME}(?:\s[^<>]*)?>",  # DeepSeek, Qwen, GLM, MiniMax, Seed-OSS, Gemini's <thought>, Claude's <thinking>
    rf"\[{_NAME}\]",  # Magistral
    rf"◁{_NAME}▷",  # Kimi-VL
    r"<\|(?:begin_of_thought|start_thinking|thinking|think|thought)\|>",  # OpenThinker, Cohere
    r"<\|channel\|>\s*(?:analysis|commentary)\b.*?<\|message\|>",  # gpt-oss
    r"<\|channel>\s*thought\b",  # Gemma
    r"<unused94>",  # MedGemma
)
_CLOSE = (
    rf"</{_NAME}\s*>",
    rf"\[/{_NAME}\]",
    rf"◁/{_NAME}▷",
    r"<\|(?:end_of_thought|end_thinking|/thinking|/think|/thought)\|>",
    r"<\|channel\|>\s*final\b.*?<\|message\|>",
    r"\bassistantfinal\b",  # gpt-oss where a server has left out the marks
    r"<channel\|>",
    r"<unused95>",
)
_MARK = re.compile(f"(?P<open>{'|'.join(_OPEN)})|(?P<close>{'|'.join(_CLOSE)})", re.IGNORECASE | re.DOTALL)


def without_thoughts(text: str) -> str:
    """``text`` without the thoughts in it.

    Args:
        text: a model's answer.

    Returns:
        What stands outside all marks: nothing of what comes before a last mark without a first, or behind a first mark
        without a last.

    >>> without_thoughts("<think>perhaps {}</think>{1}"), without_thoughts("perhaps</think>{1}<think>or")
    ('{1}', '{1}')
    """
    said, at, thinking = "", 0, False
    for mark in _MARK.finditer(text):
        if mark["close"]:
            said = said if thinking else ""
            thinking, at = False, mark.end()
        elif not thinking:
            said += text[at : mark.start()]
            thinking = True
    return said if thinking else said + text[at:]
