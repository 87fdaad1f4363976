"""How servers say no: the errors of the table in ``dialects``, and the words that each sentence must hold."""

from __future__ import annotations

from .dialects import DRAFT, WORDS, Dialect, always, error, says

ENDS = [
    Dialect(
        "thoughts that do not end",
        says(f"<think>{DRAFT}", finish_reason="length"),
        "limit of tokens.*max_tokens",
        requests=2,
    ),
    Dialect("cut at the limit", says(WORDS[:40], finish_reason="length"), "raise max_tokens", requests=2),
    Dialect(
        "a draft in thoughts that were cut",
        says("", reasoning=DRAFT, finish_reason="length"),
        "limit of tokens",
        requests=2,
    ),
    Dialect("a refusal", says(None, refusal="no"), "refuses to describe"),
    Dialect("finish_reason content_filter", says("", finish_reason="content_filter"), "refuses to describe"),
    Dialect("Gemini: finish_reason SAFETY", says("", finish_reason="SAFETY"), "refuses to describe"),
    Dialect(
        "Azure: the filter", always(400, error("content management policy", code="content_filter")), "content filter"
    ),
    Dialect("Alibaba: the filter", always(400, error("x", code="data_inspection_failed")), "content filter"),
    Dialect(
        "Azure: a filtered 200",
        always(200, {"choices": [], "prompt_filter_results": [{"filtered": True}]}),
        "content filter",
    ),
    Dialect("no credits: 402", always(402, error("Insufficient Balance")), "credits.*HTTP 402", "takes pictures"),
    Dialect(
        "OpenRouter: fewer max_tokens",
        always(402, error("requires more credits, or fewer max_tokens")),
        "credits.*max_tokens",
        requests=4,
    ),
    Dialect(
        "OpenAI: insufficient_quota",
        always(429, error("You exceeded your current quota", code="insufficient_quota")),
        "no credits or quota",
    ),
    Dialect("Anthropic: credit balance", always(400, error("Your credit balance is too low")), "no credits or quota"),
    Dialect(
        "Gemini: quota of a minute",
        always(429, [error("exceeded your current quota, check billing", details=[{"retryDelay": "1s"}])]),
        "rate limit",
        "credits",
        requests=3,
    ),
    Dialect(
        "OpenRouter: free models of a day", always(429, error("Rate limit exceeded: free-models-per-day")), "for today"
    ),
    Dialect(
        "Gemini: a wrong key as 400",
        always(400, [error("API key not valid. Please pass a valid API key.")]),
        "the key",
        "pictures",
    ),
    Dialect("a wrong key: 401", always(401, error("Incorrect API key provided: sk-***")), "does not accept the key"),
    Dialect(
        "a country that is not served",
        always(403, error("unsupported_country_region_territory")),
        "country or region",
        "key ",
    ),
    Dialect(
        "a login in front: 403",
        always(403, "<!DOCTYPE html><title>Just a moment...</title>"),
        "web page in front",
        "key ",
    ),
    Dialect("no such model: 404", always(404, error("The model `eyes` does not exist")), "model 'eyes'"),
    Dialect(
        "Ollama: no such model", always(404, error('model "eyes" not found, try pulling it first')), "model 'eyes'"
    ),
    Dialect("not this method: 405", always(405, {"detail": "Method Not Allowed"}), "base_url", "pictures"),
    Dialect("no such address: 404", always(404, "404 page not found"), "base_url, which usually ends in /v1"),
    Dialect(
        "LM Studio: no such address, as 200",
        always(200, {"error": "Unexpected endpoint or method. (POST /chat/completions). Returning 200 anyway"}),
        "base_url",
        "log",
    ),
    Dialect(
        "nginx: http where https is spoken",
        always(400, "<html>400 The plain HTTP request was sent to HTTPS port</html>"),
        "base_url: http or https",
        "pictures",
    ),
    Dialect("thoughts alone", says(f"<think>{DRAFT}"), "thoughts alone", requests=2),
    Dialect("Azure: the api-version", always(404, error("API version not supported")), "api_version"),
    Dialect(
        "llama.cpp: context", always(400, error("request exceeds the available context size")), "context", "pictures"
    ),
    Dialect(
        "LM Studio: context",
        always(400, {"error": "Trying to keep the first 9 tokens when context the overflows"}),
        "context",
    ),
    Dialect(
        "Ollama: no eyes, as 500",
        always(500, error("this model is missing data required for image input")),
        "no pictures",
        "log",
    ),
    Dialect(
        "LM Studio: no eyes, as 200",
        always(200, {"error": "Vision add-on is not loaded, but images were provided"}),
        "no pictures",
    ),
    Dialect(
        "pydantic: a content that must be a text",
        always(422, {"detail": [{"loc": ["body", "messages", 0, "content"], "msg": "Input should be a valid string"}]}),
        "no pictures",
    ),
    Dialect(
        "busy inside a 200",
        always(200, error("Provider returned error", code=429)),
        "HTTP 429 inside a 200",
        "base_url",
        requests=3,
    ),
    Dialect(
        "OpenRouter: an error inside a choice",
        always(200, {"choices": [{"error": {"code": 502}, "message": {"content": ""}, "finish_reason": "error"}]}),
        "failed on its side",
        requests=3,
    ),
    Dialect(
        "MiniMax: base_resp",
        always(200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}),
        "rate limit",
        requests=3,
    ),
    Dialect("DeepSeek: no resources", says("", finish_reason="insufficient_system_resource"), "busy", requests=3),
    Dialect(
        "llama.cpp: still loading", always(503, error("Loading model", type="unavailable_error")), "busy", requests=3
    ),
    Dialect(
        "overloaded, as 400",
        always(400, error("Model is overloaded, try again later")),
        "is busy",
        "pictures",
        requests=3,
    ),
]
