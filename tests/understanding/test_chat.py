from __future__ import annotations

import json
import re
import socket
import time
import warnings

import pytest

from sedic.understanding.words.endpoints import Endpoint

from .asking import ask, failing
from .chat_server import GOOD, KEY, completion, failure, refusing

pytestmark = pytest.mark.usefixtures("no_key_anywhere")


@pytest.fixture
def notes():
    """What was told with warnings.warn so far."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield lambda: [str(w.message) for w in told if issubclass(w.category, UserWarning)]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Invalid parameter: '{}' of type 'json_schema' is not supported with this model."),
        (400, "This {} type is unavailable now"),
        (422, "[body -> {}] extra fields not permitted"),
        (400, "bad request"),  # which says nothing
    ],
)
def test_an_endpoint_without_structured_output_is_asked_in_plain_words_and_told(server, notes, status, words):
    server.answers = [refusing("response_format", status=status, text=words)]
    assert ask(server.endpoint()).overall == GOOD["overall"]
    assert ["response_format" in body for body in server.asked] == [True, False]
    assert "JSON object" in server.asked[1]["messages"][0]["content"][0]["text"]
    assert [note for note in notes() if "no structured output" in note]


def test_an_endpoint_that_passes_over_the_schema_is_told(server, notes):
    server.answers = [completion(f"Here you are: {json.dumps(GOOD)}")]
    assert ask(server.endpoint()).overall == GOOD["overall"]
    assert [note for note in notes() if "'home' (model eyes) has no structured output" in note]


def test_an_endpoint_with_structured_output_is_told_nothing(server, notes):
    ask(server.endpoint())
    assert notes() == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Invalid content type. image_url is only supported by certain models."),  # OpenAI
        (400, "At most 0 image(s) may be provided in one prompt."),  # vLLM
        (400, "eyes is not a multimodal model"),  # vLLM
        (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
        (400, "Model does not support images. Please use a model that does."),  # LM Studio
        (404, "No endpoints found that support image input"),  # OpenRouter
        (400, "messages[0]: unknown variant `image_url`, expected `text`"),  # DeepSeek
        (400, "'messages.0.content' : content must be a string"),  # Groq
    ],
)
def test_an_endpoint_without_eyes_is_told_as_such(server, status, words):
    server.answers = [failure(status, words)]
    sentence = failing(server.endpoint())
    assert f"takes no pictures with model 'eyes' (HTTP {status}); choose a model with vision" in sentence


@pytest.mark.parametrize("words", ["The image could not be decoded", "The prompt exceeds the context of the model"])
def test_an_error_about_a_picture_is_not_taken_for_blindness(server, words):
    server.answers = [failure(400, words)]
    assert "rejects the request (HTTP 400)" in failing(server.endpoint())


def test_what_an_endpoint_does_not_take_is_left_out_one_by_one_and_not_tried_again(server):
    plain = refusing("temperature", "seed", text="Unsupported value: '{}'")
    server.answers = [lambda body: plain(body) if len(server.asked) < 3 else completion("Sorry?")] * 3
    server.answers += [plain]
    assert ask(server.endpoint()).overall == GOOD["overall"]
    options = [[key for key in ("temperature", "seed", "response_format") if key in body] for body in server.asked]
    assert (
        options == [["temperature", "seed", "response_format"], ["seed", "response_format"]] + [["response_format"]] * 2
    )


@pytest.mark.parametrize(
    "answer",
    [completion(None, refusal="I cannot help"), completion("", finish_reason="content_filter")],
)
def test_a_refusal_is_told(server, answer):
    server.answers = [answer]
    assert "refuses to describe this picture" in failing(server.endpoint())


def test_a_busy_endpoint_is_asked_again(server):
    server.answers = [failure(429), failure(503), completion(json.dumps(GOOD))]
    assert ask(server.endpoint()).overall == GOOD["overall"]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "told", "requests"),
    [
        (400, r"rejects the request .*takes pictures", 4),  # without structured output, without numbers, without either
        (401, "does not accept the key .*key_env", 1),
        (403, "does not accept the key", 1),
        (404, "knows no such model or address .*'eyes'", 1),
        (413, r"rejects the request \(HTTP 413\)", 1),
        (429, "rate limit", 3),
        (500, r"failed on its side \(HTTP 500\)", 4),  # once without structured output
        (502, r"failed on its side \(HTTP 502\)", 3),
    ],
)
def test_http_errors_are_told_without_the_key_that_the_server_repeats(server, status, told, requests):
    server.answers = [failure(status)]
    assert re.search(told, failing(server.endpoint()))
    assert len(server.asked) == requests


@pytest.mark.parametrize(
    "answer", [(200, "<html>It works!</html>"), (200, '{"models": []}'), (200, '{"choices": []}'), (200, '{"choi')]
)
def test_a_server_of_another_kind_is_told(server, answer):
    server.answers = [answer]
    assert "base_url, which usually ends in /v1" in failing(server.endpoint())


def test_a_slow_endpoint_is_told_with_its_timeout(server):
    server.delay = 0.5
    assert "no answer within 0.05 s" in failing(server.endpoint(timeout=0.05))


def test_an_endpoint_that_never_ends_is_given_up(server, monkeypatch):
    monkeypatch.setattr("sedic.understanding.words.chat.RETRY_WAIT", 0)
    server.trickle = 0.1
    assert "no answer within 0.3 s" in failing(server.endpoint(timeout=0.3))


def test_a_connection_that_breaks_in_the_middle_is_tried_again_then_told(server):
    server.cut = 40
    assert "cannot be reached" in failing(server.endpoint())
    assert len(server.asked) == 3


def test_a_busy_endpoint_is_asked_again_when_it_says(server):
    server.headers = {"Retry-After": "1"}
    server.answers = [failure(429), completion(json.dumps(GOOD))]
    ask(server.endpoint())
    assert server.times[1] - server.times[0] >= 1


def test_an_endpoint_that_asks_for_hours_is_not_waited_for(server, monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    server.headers = {"Retry-After": "7200"}
    server.answers = [failure(429)]
    assert "wait, or look at the account" in failing(server.endpoint())
    assert sum(slept) < 300


def test_waiting_ends_when_it_is_watched(server):
    class Enough(Exception):
        pass

    def watch():
        if server.asked:
            raise Enough

    server.delay = 3
    start = time.monotonic()
    with pytest.raises(Enough):
        ask(server.endpoint(), watch=watch)
    assert time.monotonic() - start < server.delay


def test_a_key_in_an_answer_does_not_reach_the_words(server):
    server.answers = [completion(json.dumps({**GOOD, "overall": f"a barn, {KEY}"}))]
    assert ask(server.endpoint()).overall == "a barn, …"


def test_a_dead_endpoint_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = Endpoint("home", f"http://me:{KEY}@127.0.0.1:{port}/v1", "eyes", KEY, 5)
    assert f"(127.0.0.1:{port}) cannot be reached; start the server" in failing(endpoint)
