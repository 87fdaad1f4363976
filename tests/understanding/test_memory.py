from __future__ import annotations

import json
import os

import numpy as np
import pytest

from sedic.semantics import Limits, SceneObject, Semantics
from sedic.understanding.words.memory import AnswerCache, default_folder

from .asking import IMAGE, ask
from .chat_server import GOOD, KEY, completion

pytestmark = pytest.mark.usefixtures("no_key_anywhere")
EARLIER = pytest.mark.filterwarnings("ignore:These words were asked for earlier")


@EARLIER
def test_the_same_question_about_the_same_picture_costs_nothing_and_gets_the_same_words(server, tmp_path):
    first = ask(server.endpoint(), memory=AnswerCache(tmp_path))
    server.answers = [completion('{"objects": [], "overall": "something else"}')]
    assert ask(server.endpoint(), memory=AnswerCache(tmp_path)) == first
    assert len(server.asked) == 1


@EARLIER
def test_an_answer_that_was_cut_is_cut_again(server, tmp_path):
    server.answers = [completion(json.dumps({**GOOD, "overall": "wide " * 60}))]
    for _ in range(2):
        with pytest.warns(UserWarning, match="60 words, 50 allowed"):
            assert len(ask(server.endpoint(), memory=AnswerCache(tmp_path)).overall.split()) == 50
    assert len(server.asked) == 2  # the question and its repair


def test_an_answer_from_memory_is_told(server, tmp_path):
    ask(server.endpoint(), memory=AnswerCache(tmp_path))
    with pytest.warns(UserWarning, match="asked for earlier"):
        ask(server.endpoint(), memory=AnswerCache(tmp_path))


@EARLIER
def test_another_picture_question_model_or_seed_is_asked_anew(server, tmp_path):
    def again(**more):
        before = len(server.asked)
        ask(**{"endpoint": server.endpoint(), "memory": AnswerCache(tmp_path), **more})
        return len(server.asked) > before

    assert again()
    assert again(seed=1)
    assert server.asked[-1]["seed"] == 1
    assert again(limits=Limits(2))
    assert again(limits=Limits(name_words=2))
    assert again(endpoint=server.endpoint(model="other eyes"))
    assert again(memory=AnswerCache(tmp_path, ask_again=True))
    assert again(image=IMAGE[:, ::-1])
    assert not again()


@EARLIER
def test_asking_again_asks_for_other_words(server, tmp_path):
    ask(server.endpoint(), memory=AnswerCache(tmp_path))
    for _ in range(2):
        ask(server.endpoint(), memory=AnswerCache(tmp_path, ask_again=True))
    ask(server.endpoint(), seed=1)
    ask(server.endpoint(), seed=1)
    first, again, once_more, attempt, same_attempt = server.asked
    assert (first["temperature"], first["seed"]) == (0, 0)
    texts = [body["messages"][0]["content"][0]["text"] for body in server.asked]
    for body in (again, once_more, attempt):
        assert body["temperature"] > 0
    assert len({body["seed"] for body in (first, again, once_more)}) == 3
    assert len(set(texts)) == 4  # the wording, too, for servers that take neither
    assert "other words" in texts[1]
    assert attempt == same_attempt
    server.answers = [completion('{"objects": [], "overall": "something else"}')]
    ask(server.endpoint(), memory=AnswerCache(tmp_path, ask_again=True))
    assert ask(server.endpoint(), memory=AnswerCache(tmp_path)).overall == "something else"  # in the old one's place


def test_neither_names_nor_contents_hold_the_key(server, tmp_path):
    ask(server.endpoint(), memory=AnswerCache(tmp_path))
    files = list(tmp_path.iterdir())
    assert len(files) == 1
    assert json.loads(files[0].read_text()) == GOOD
    assert KEY not in str(files) + files[0].read_text()


def words(text):
    return Semantics(text, (SceneObject("barn", "red"),))


def test_no_more_are_kept_than_allowed_and_the_longest_unused_go_first(tmp_path):
    memory = AnswerCache(tmp_path, most=3)
    for n in range(3):
        memory.keep(IMAGE, f"question {n}", "eyes", 0, words(str(n)))
    for n, path in enumerate(sorted(tmp_path.iterdir(), key=lambda path: json.loads(path.read_text())["overall"])):
        os.utime(path, (n, n))
    memory.find(IMAGE, "question 0", "eyes", 0)
    memory.keep(IMAGE, "question 3", "eyes", 0, words("3"))
    left = [n for n in range(4) if memory.find(IMAGE, f"question {n}", "eyes", 0)]
    assert left == [0, 2, 3]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"objects": [{}]}'])
def test_a_damaged_answer_is_asked_for_again_and_replaced(tmp_path, content):
    memory = AnswerCache(tmp_path)
    memory.keep(IMAGE, "question", "eyes", 0, words("a"))
    path = next(tmp_path.iterdir())
    path.write_bytes(content)
    assert memory.find(IMAGE, "question", "eyes", 0) is None
    memory.keep(IMAGE, "question", "eyes", 0, words("b"))
    found = memory.find(IMAGE, "question", "eyes", 0)
    assert found == words("b")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_is_told_and_costs_no_words(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="cannot be kept in .*file"):
        assert ask(server.endpoint(), memory=AnswerCache(tmp_path / "file")).overall == GOOD["overall"]


def test_the_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "sedic" / "answers"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder().parts[-3:] == (".cache", "sedic", "answers")


def test_pictures_of_the_same_bytes_and_another_shape_differ(tmp_path):
    memory = AnswerCache(tmp_path)
    memory.keep(IMAGE, "question", "eyes", 0, words("a"))
    assert memory.find(np.swapaxes(IMAGE, 0, 1), "question", "eyes", 0) is None
    assert memory.find(IMAGE.reshape(1000, 600, 3), "question", "eyes", 0) is None
