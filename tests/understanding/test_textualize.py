from __future__ import annotations

import base64
import io
import json
import re
import warnings

import pytest
from PIL import Image

from sedic.semantics import Limits, SemanticsError
from sedic.understanding.words.conversation import SCHEMA, TextualizeError
from sedic.understanding.words.textualize import question, typed

from .asking import ask, failing
from .chat_server import GOOD, KEY, completion, failure

pytestmark = pytest.mark.usefixtures("no_key_anywhere")


def test_a_good_answer_becomes_semantics(server):
    found = ask(server.endpoint())
    assert [(o.name, o.detail, o.mask) for o in found.objects] == [
        ("red barn", "weathered boards", None),
        ("pond", "", None),
    ]
    assert found.overall == GOOD["overall"]
    assert len(server.asked) == 1


def test_the_request_carries_question_schema_picture_and_key(server):
    ask(server.endpoint(), Limits(2, 5, 20, 40))
    body = server.asked[0]
    assert (body["model"], body["temperature"], body["seed"]) == ("eyes", 0, 0)
    assert json.dumps(body).count("data:image/") == 1
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
    ask(server.endpoint(key=""))
    assert KEY not in server.keys[0]


@pytest.mark.parametrize(
    "around",
    [
        "Here you are:\n```json\n%s\n```\nAnything else?",
        '<think>The form is {"name": "…"}, so {braces}, {"objects": [], "overall": "a draft"}</think>%s',
        "%s {",
    ],
)
@pytest.mark.filterwarnings("ignore:.*no structured output")
def test_json_is_found_in_prose(server, around):
    server.answers = [completion(around % json.dumps(GOOD, indent=2))]
    assert ask(server.endpoint()).overall == GOOD["overall"]
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
    assert ask(server.endpoint()).overall == GOOD["overall"]
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
        found = ask(server.endpoint())
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
    assert len(ask(server.endpoint()).overall.split()) == 50


def test_words_that_are_not_english_are_sent_back_and_noted(server):
    chinese = {"objects": [{"name": "咖啡杯", "detail": "白色"}], "overall": "木质桌面上的咖啡杯"}
    server.answers = [completion(json.dumps(chinese)), completion(json.dumps(GOOD))]
    assert ask(server.endpoint()).overall == GOOD["overall"]
    assert "not in English" in server.asked[1]["messages"][-1]["content"]
    assert "Write in English" in server.asked[0]["messages"][0]["content"][0]["text"]

    server.answers, server.asked = [completion(json.dumps(chinese))], []
    with pytest.warns(UserWarning, match="not in English .'咖啡杯'.: the detector .* English alone"):
        assert ask(server.endpoint()).objects[0].name == "咖啡杯"
    assert len(server.asked) == 2


def test_limits_hold_where_words_have_no_spaces_between(server):
    server.answers = [completion(json.dumps({**GOOD, "overall": "木质桌面上的咖啡杯特写" * 20}))]
    with pytest.warns(UserWarning, match="The overall text has 220 words, 50 allowed: 170 cut"):
        assert len(ask(server.endpoint()).overall) == 50


def test_a_picture_without_objects_is_no_error(server):
    server.answers = [completion('{"objects": [], "overall": "an empty blue sky"}')]
    found = ask(server.endpoint())
    assert (len(found.objects), found.overall) == (0, "an empty blue sky")


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
    wide = typed("谷倉：red: old\noverall：a barn")  # the colon of Chinese and Japanese keyboards
    assert (wide.objects[0].name, wide.objects[0].detail, wide.overall) == ("谷倉", "red: old", "a barn")


def test_typed_json_becomes_semantics():
    assert typed(json.dumps(GOOD)).objects[0].name == "red barn"
    with pytest.raises(SemanticsError, match="not JSON"):
        typed('{"objects": [')


@pytest.mark.parametrize(
    "text",
    [
        "```json\n{}\n```",
        "<think>a barn, {{ perhaps</think>{}",
        "Here is the JSON: {}\nAnything else?",
        "{} I hope that helps.",
    ],
)
def test_what_a_language_node_wrote_is_read_like_a_models_answer(text):
    """ComfyUI's own text generation hands on the whole answer, fences, thoughts and prose with it."""
    found = typed(text.replace("{{", "{").replace("{}", json.dumps(GOOD)))
    assert [o.name for o in found.objects] == [o["name"] for o in GOOD["objects"]]
    assert found.overall == GOOD["overall"]


def test_a_list_in_markdown_is_lines():
    found = typed("```\n- **red barn**: weathered boards\n2. pond: still\n**Overall:** a red barn\n```")
    assert [(o.name, o.detail) for o in found.objects] == [("red barn", "weathered boards"), ("pond", "still")]
    assert found.overall == "a red barn"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('```json\n{"objects": [{"name": "red barn", "det', "cut short or broken; let it write longer"),
        ("<think>a barn, and", "holds thoughts alone"),
        ("  \n ", "No words were typed"),
        ("overall:", "No words were typed"),
        (": red", "no name before its colon"),
        ("one text\nanother text", "2 overall texts, the second is 'another text'"),
    ],
)
def test_typed_text_out_of_form_is_told(text, told):
    with pytest.raises(TextualizeError, match=told):
        typed(text)
