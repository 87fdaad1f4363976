"""The reasons for which servers refuse, each with the words by which it is known and its own sentence.

The words are those of OpenAI, Azure, vLLM, SGLang, llama.cpp, Ollama, LM Studio, LiteLLM, OpenRouter, Gemini, Mistral,
Groq, DeepSeek, Moonshot, Alibaba, MiniMax and Zhipu, as their users quote them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One reason.

    Attributes:
        name: of the reason.
        statuses: of HTTP, one of which the response must have; any where there is none.
        words: what must be found in what the server tells, in lower case; empty where the status says it.
        sentence: with gaps for who, how, model and most.
        again: whether the same request may succeed if it is sent once more.
    """

    name: str
    statuses: tuple[int, ...]
    words: str
    sentence: str
    again: bool = False

    def fits(self, status: int, told: str) -> bool:
        """Whether an error is of this kind."""
        return (not self.statuses or status in self.statuses) and bool(re.search(self.words, told, re.DOTALL))


KEY = "{who} does not accept the key ({how}); check key or key_env of this profile."
ADDRESS = (
    "{who} has something else at this address ({how}); check base_url: http or https, and that it ends in /v1, as it "
    "usually does."
)
NO_KEY = (
    r"(invalid|incorrect|wrong|bad|missing|malformed|no|expired|revoked|disabled).{0,20}(api.?key|access.?token|credential|"
    r"authoriz|auth\b)|api.?key.{0,40}(not.(valid|correct|found|active)|invalid|expired|required|missing|disabled)|"
    r"unauthori[sz]ed|unauthenticated|not authenticated|authentication"
)
BLIND = (
    r"image_url is only supported|images? ?(input|inputs|content)? ?(is |are )?(not|un)[ -]?supported|at most 0 image|"
    r"(isn't|not) an? (multi-?modal|vision)|missing data required for image|vision add-on is not loaded|mmproj|"
    r"(not|n't|no endpoints found that|unable to|cannot) (support|accept|take|see)(s|ed|ing)? ((the|any) )?"
    r"(image|picture|vision|visual|multi-?modal)|unknown variant .?image_url|no vision|text.only model|"
    r"content.{0,90}(must be a string|valid string|str type expected)|only (supports?|accepts?) text|"
    r"(image|vision|multi-?modal)\S* (is |are )?(unsupported|(not|un) ?(available|enabled|allowed))"
)
FILTER = (
    r"content.?filter|content.?management.?policy|content.?policy(?!.?fallback)|responsibleai|policy.?violation|"
    r"data.?inspection|prohibited.?content|\bflagged\b|moderation|safety.?(system|filter|polic|setting|reason)|"
    r"(?<!case.)sensitive|filtered true|block_?reason|unsafe|不安全|敏感"
)
POOR = (
    r"insufficient.?(quota|balance|funds?|credit|account)|exceeded your current quota|out of (credit|quota)|no credit|"
    r"credit balance|(more|requires?|add|buy|exhausted) credits?|credits? (limit|exhausted|are)|billing|payment|"
    r"recharge|\btop.?up|arrear|key limit|spend(ing)? limit|budget|余额不足|欠费"
)
# Which account limits tell, too: more than so much a minute is to be had for money.
RATE = (
    r"rate.?limit|per.?(minute|second|hour)|requests? per|tokens per|retry.?delay|\b[rt]pm\b|"
    r"too many (concurrent )?requests"
)
PLACE = (
    r"(country|region|location|territory).{0,60}(not|un).?(support|available)|unsupported.?(country|region|location)|"
    r"(not|un).?(support|avail)\w* in your (country|region)"
)
CONTEXT = (
    r"context.?(length|window|size)|maximum context|context the overflows|"
    r"(prompt|input|request|message)s? (is |are )?too (long|large)|too many (input |prompt )?tokens|"
    r"\bn_ctx|num_ctx|max_model_len|max_position|exceeds? the .{0,20}context|"
    r"longer than the (maximum )?(model|context)|reduce the length|string_above_max"
)
MODEL = (
    r"model.{0,80}not.?(found|exist|(a )?valid|(currently )?(loaded|available|deployed|recognized)|have access)|"
    r"(unknown|invalid|no such|unavailable) model|deployment.?not.?found|no models? (is |are )?(loaded|found)|"
    r"not a valid model|(access to|use) (the |this )?model|try pulling|模型不存在"
)
BUSY = (
    r"overloaded|(over|at|no) capacity|server.{0,10}busy|(try|retry).{0,20}later|temporar|rate.?limit|"
    r"too many requests|resource.?exhausted|loading model|model is loading|warming up|system_resource|queue|throttl"
)
_ASKED = (400, 401, 403, 404, 409, 413, 415, 422, 500, 501, 503)  # with which the request itself may be at fault

# The first that fits counts.
REASONS = (
    Reason(
        "gate",
        (403,),
        "^<",
        "{who} is shut off by a web page in front of it ({how}: a firewall or a login); check base_url and network.",
    ),
    Reason("blind", _ASKED, BLIND, "{who} takes no pictures with model {model!r} ({how}); choose a model with vision."),
    Reason(
        "filter",
        (400, 403, 409, 422, 451, 500),
        FILTER,
        "{who} refuses to describe this picture ({how}, its content filter); try another model, or type words.",
    ),
    Reason(
        "place",
        (400, 401, 403, 451),
        PLACE,
        "{who} does not serve the country or region that it is asked from ({how}); choose another endpoint.",
    ),
    Reason(
        "credits",
        (400, 403, 429),
        rf"insufficient_quota|^(?!.*({RATE})).*({POOR})",
        "{who} has no credits or quota left on this account ({how}); top it up, or choose another endpoint.",
    ),
    Reason(
        "credits",
        (402,),
        "",
        "{who} asks for more credits ({how}); top the account up, or lower max_tokens of this profile ({most} now).",
    ),
    Reason(
        "daily",
        (403, 429),
        r"per.?day|daily|\brpd\b",
        "{who} turns requests away for today ({how}: the account's rate limit of a day is reached); ask tomorrow, or "
        "choose another endpoint.",
    ),
    Reason("key", (401,), "", KEY),
    Reason("key", (400, 403, 422, 500), NO_KEY, KEY),
    Reason(
        "proxy",
        (407,),
        "",
        "{who} lies behind a proxy that wants a name and a password ({how}); put them into HTTPS_PROXY.",
    ),
    Reason(
        "context",
        (400, 413, 422, 429, 500),
        CONTEXT,
        "{who} rejects the request ({how}): picture, question and max_tokens ({most}) are more than the model's "
        "context holds; give the server a longer context, or lower max_tokens of this profile.",
    ),
    Reason(
        "version",
        (400, 404),
        r"api.?version",
        "{who} wants another api-version ({how}); check api_version of this profile, or use Azure's newer address, "
        "which ends in /openai/v1.",
    ),
    Reason(
        "model",
        (400, 403, 404, 409, 422, 500),
        MODEL,
        "{who} knows no such model or address, or this account may not use it ({how}); check model {model!r} and "
        "base_url.",
    ),
    Reason(
        "address",
        (),
        r"unexpected endpoint|(unknown|invalid|no such) (endpoint|url|path|route)|cannot post|"
        r"method not allowed|plain http request",
        ADDRESS,
    ),
    Reason("key", (403,), "", KEY),
    Reason(
        "address",
        (404, 410, 421),
        "",
        "{who} knows no such model or address ({how}); check model {model!r} and base_url, which usually ends in /v1.",
    ),
    Reason("address", (405, *range(300, 400)), "", ADDRESS),
    Reason(
        "busy",
        (429, 503, 529),
        "",
        "{who} turns requests away ({how}: busy, or its rate limit is reached), three times; wait, or look at the "
        "account's limits.",
        again=True,
    ),
    Reason(
        "busy",
        (400, 403, 409, 424, 425, 500, 502, 504),
        BUSY,
        "{who} is busy ({how}); wait, and ask again.",
        again=True,
    ),
    Reason(
        "size",
        (413,),
        "",
        "{who} rejects the request ({how}): the picture is too large for it, at 768 pixels; raise what the server, or "
        "the proxy in front of it, lets in.",
    ),
    Reason("server", (501, 505), "", "{who} cannot do what is asked ({how}); look at the server's log."),
    Reason(
        "server",
        (408, 409, 424, 425, *range(500, 600)),
        "",
        "{who} failed on its side ({how}), three times; look at the server's log or try later.",
        again=True,
    ),
    Reason(
        "other",
        (),
        "",
        "{who} rejects the request ({how}) for no reason that is known here; look at the server's log, and check "
        "extra_body and that model {model!r} takes pictures.",
    ),
)
