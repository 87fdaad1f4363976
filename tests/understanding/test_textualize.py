from __future__ import annotations

import base64
import io
import json
import logging
import re
import socket
import threading
import traceback
import warnings

import numpy as np
import pytest
from PIL import Image

from sedic.semantics import Limits, SemanticsError
from sedic.understanding.endpoints import Endpoint
from sedic.understanding.textualize import SCHEMA, TextualizeError, question, textualize, typed

from .chat_server import GOOD, KEY, Server, completion, failure

IMAGE = np.random.default_rng(0).integers(0, 256, (600, 1000, 3), dtype=np.uint8)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_key_anywhere(caplog, capfd, recwarn):
    """Whatever a test does, the key is in no log, no output and no warning."""
    caplog.set_level(logging.DEBUG)
    yield
    output = capfd.readouterr()
    logged = [caplog.handler.format(record) for record in caplog.get_records("call")]
    for text in (*logged, output.out, output.err, *[str(w.message) for w in recwarn]):
        assert KEY not in text


def failing(endpoint, limits=Limits()):
    """The sentence of the error that asking ends in; nowhere in its traceback or causes is the key."""
    with pytest.raises(TextualizeError) as caught:
        textualize(IMAGE, endpoint, limits)
    error: BaseException | None = caught.value
    assert KEY not in "".join(traceback.format_exception(error))
    while error is not None:
        assert KEY not in repr(error)
        error = error.__cause__ or error.__context__
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "'home'" in sentence
    return sentence


def test_a_good_answer_becomes_semantics(server):
    found = textualize(IMAGE, server.endpoint())
    assert [(o.name, o.detail, o.mask) for o in found.objects] == [
        ("red barn", "weathered boards", None),
        ("pond", "", None),
    ]
    assert found.overall == GOOD["overall"]
    assert len(server.asked) == 1


def test_the_request_carries_question_schema_picture_and_key(server):
    textualize(IMAGE, server.endpoint(), Limits(2, 5, 20, 40))
    body = server.asked[0]
    assert (body["model"], body["temperature"]) == ("eyes", 0)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    text, picture = body["messages"][0]["content"]
    assert text["text"] == question(Limits(2, 5, 20, 40))
    head, data = picture["image_url"]["url"].split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert (image.format, image.size) == ("JPEG", (768, 461))
    assert server.keys == [f"Bearer {KEY}"]


def test_the_question_holds_every_limit_and_no_placeholder():
    text = question(Limits(objects=4, name_words=5, detail_words=21, overall_words=37))
    assert all(re.search(rf"\b{n}\b", text) for n in (4, 5, 21, 37))
    assert not re.search(r"\{\w+\}", text)


def test_a_key_of_the_environment_never_goes_to_an_endpoint_without_one(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    textualize(IMAGE, server.endpoint(key=""))
    assert KEY not in server.keys[0]


@pytest.mark.parametrize(
    "around",
    [
        "Here you are:\n```json\n%s\n```\nAnything else?",
        '<think>The form is {"name": "…"}, so {braces}</think>%s',
        "%s {",
    ],
)
def test_json_is_found_in_prose(server, around):
    server.answers = [completion(around % json.dumps(GOOD, indent=2))]
    assert textualize(IMAGE, server.endpoint()).overall == GOOD["overall"]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("I see a lovely red barn.", "no JSON object"),
        (json.dumps(GOOD)[:-20], "cut short"),
        ("", "no JSON object"),
        (None, "no JSON object"),
        ('{"objects": "barn", "overall": "x"}', '"objects" is not a list'),
        ('{"objects": [{"name": "barn"}], "overall": "x"}', 'object 1 has no "name" and "detail"'),
        ('{"objects": [{}], "overall": "x"}', 'object 1 has no "name" and "detail"'),
        ('{"objects": [{"name": " ", "detail": "x"}], "overall": "x"}', "object 1 has no name"),
        ('{"objects": [], "overall": ""}', '"overall" is not a text'),
        ('{"objects": [3], "overall": "x"}', "object 1"),
        ("{" * 5000, "cut short"),
    ],
)
def test_an_answer_out_of_form_is_mended_once_then_told(server, bad, told):
    server.answers = [completion(bad), completion(json.dumps(GOOD))]
    assert textualize(IMAGE, server.endpoint()).overall == GOOD["overall"]
    assert told in server.asked[1]["messages"][-1]["content"]

    server.answers, server.asked = [completion(bad)], []
    assert told in failing(server.endpoint())
    assert len(server.asked) == 2


def test_too_many_words_are_sent_back_then_cut_with_a_warning(server):
    long = {
        "objects": [{"name": f"barn {j}", "detail": "red " * 40} for j in range(5)],
        "overall": "wide " * 70,
    }
    server.answers = [completion(json.dumps(long))]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = textualize(IMAGE, server.endpoint())
    assert len(server.asked) == 2
    mend = server.asked[1]["messages"][-1]["content"]
    assert "5 objects, 3 allowed" in mend
    assert "detail of object 1 has 40 words, 30 allowed" in mend
    assert "overall has 70 words, 50 allowed" in mend
    assert [len(o.detail.split()) for o in found.objects] == [30, 30, 30]
    assert len(found.overall.split()) == 50
    assert any("20 cut" in str(w.message) for w in told)


@pytest.mark.parametrize("second", [completion("Sorry?"), failure(400), completion(None, refusal="no")])
@pytest.mark.filterwarnings("ignore:The overall text has 60 words")
def test_a_failed_repair_does_not_lose_the_first_answer(server, second):
    server.answers = [completion(json.dumps({**GOOD, "overall": "wide " * 60})), second]
    assert len(textualize(IMAGE, server.endpoint()).overall.split()) == 50


def test_a_picture_without_objects_is_no_error(server):
    server.answers = [completion('{"objects": [], "overall": "an empty blue sky"}')]
    found = textualize(IMAGE, server.endpoint())
    assert (len(found.objects), found.overall) == (0, "an empty blue sky")


@pytest.mark.parametrize("status", [400, 422])
def test_an_endpoint_without_structured_output_is_asked_without_it(server, status):
    def plain_only(body):
        if "response_format" in body:
            return failure(status, "response_format is not supported")
        return completion(json.dumps(GOOD))

    server.answers = [plain_only]
    assert textualize(IMAGE, server.endpoint()).overall == GOOD["overall"]
    assert ["response_format" in body for body in server.asked] == [True, False]


def test_a_model_without_temperature_is_asked_without_it(server):
    def fixed_temperature(body):
        if "temperature" in body:
            return failure(400, "Unsupported value: 'temperature' does not support 0 with this model.")
        return completion(json.dumps(GOOD))

    server.answers = [fixed_temperature]
    assert textualize(IMAGE, server.endpoint()).overall == GOOD["overall"]
    assert "response_format" in server.asked[1]


@pytest.mark.parametrize(
    "answer",
    [completion(None, refusal="I cannot help"), completion("", finish_reason="content_filter")],
)
def test_a_refusal_is_told(server, answer):
    server.answers = [answer]
    assert "refuses to describe this picture" in failing(server.endpoint())


def test_a_busy_endpoint_is_asked_again(server):
    server.answers = [failure(429), failure(503), completion(json.dumps(GOOD))]
    assert textualize(IMAGE, server.endpoint()).overall == GOOD["overall"]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "told", "requests"),
    [
        (400, r"rejects the request .*takes pictures", 2),
        (401, "does not accept the key .*key_env", 1),
        (403, "does not accept the key", 1),
        (404, "knows no such model or address .*'eyes'", 1),
        (413, r"rejects the request \(HTTP 413\)", 1),
        (429, "rate limit", 3),
        (500, r"failed on its side \(HTTP 500\)", 3),
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


def test_a_dead_endpoint_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = Endpoint("home", f"http://me:{KEY}@127.0.0.1:{port}/v1", "eyes", KEY, 5)
    assert f"(127.0.0.1:{port}) cannot be reached; start the server" in failing(endpoint)


def test_typed_lines_become_semantics():
    found = typed("""
        red barn: weathered boards, time 12:30
        pond:

        Overall: a red barn: quiet
    """)
    assert [(o.name, o.detail) for o in found.objects] == [("red barn", "weathered boards, time 12:30"), ("pond", "")]
    assert found.overall == "a red barn: quiet"


def test_a_line_without_a_colon_is_the_overall_text():
    found = typed("barn: red\na red barn beside a pond")
    assert (found.objects[0].name, found.overall) == ("barn", "a red barn beside a pond")
    assert typed("a red barn").objects == ()


def test_typed_json_becomes_semantics():
    assert typed(json.dumps(GOOD)).objects[0].name == "red barn"
    with pytest.raises(SemanticsError, match="not JSON"):
        typed('{"objects": [')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  \n ", "No words were typed"),
        ("overall:", "No words were typed"),
        (": red", "no name before its colon"),
        ("one text\nanother text", "2 overall texts, the second is 'another text'"),
    ],
)
def test_typed_text_out_of_form_is_told(text, told):
    with pytest.raises(TextualizeError, match=told):
        typed(text)
