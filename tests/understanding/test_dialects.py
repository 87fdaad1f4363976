from __future__ import annotations

import re

import pytest

from .asking import ask, failing
from .chat_server import GOOD
from .dialects import REFUSED_OPTIONS, SHAPES
from .dialects_of_errors import ENDS

pytestmark = [
    pytest.mark.usefixtures("no_key_anywhere"),
    pytest.mark.filterwarnings("ignore:.*no structured output"),
]
OPTIONS = ("temperature", "seed", "response_format", "max_tokens")


def named(dialects):
    return pytest.mark.parametrize("dialect", [pytest.param(d, id=d.name) for d in dialects])


@named(REFUSED_OPTIONS)
def test_only_the_option_that_is_refused_is_given_up_and_that_is_remembered(server, dialect):
    server.answers = [dialect.answer]
    assert ask(server.endpoint()).overall == GOOD["overall"]
    assert len(server.asked) == dialect.requests
    assert [name for name in OPTIONS if name not in server.asked[-1]] == [n for n in OPTIONS if n in dialect.without]

    ask(server.endpoint())  # another question, in the same process
    assert len(server.asked) == dialect.requests + 1


@named(SHAPES)
def test_an_answer_of_any_shape_is_read(server, dialect):
    server.answers = [dialect.answer]
    found = ask(server.endpoint())
    assert (found.overall, found.objects[0].name) == (GOOD["overall"], "red barn")
    assert len(server.asked) == dialect.requests
    assert not set(dialect.without) & set(server.asked[-1])


@named(ENDS)
def test_every_reason_has_its_own_sentence_and_is_asked_again_only_where_that_helps(server, dialect):
    server.answers = [dialect.answer]
    sentence = failing(server.endpoint())
    assert re.search(dialect.told, sentence), sentence
    assert not re.search(dialect.never, sentence), sentence
    assert len(server.asked) == dialect.requests


def test_the_page_of_providers_names_every_dialect(repository):
    page = (repository / "docs" / "language-models.md").read_text(encoding="utf-8")
    for dialects, test in (
        (REFUSED_OPTIONS, "test_only_the_option_that_is_refused"),
        (SHAPES, "test_an_answer_of_any_shape"),
        (ENDS, "test_every_reason_has_its_own_sentence"),
    ):
        assert test in page
        for dialect in dialects:
            assert f"| {dialect.name} |" in page
