"""An endpoint is asked no more often than its profile says, by all workers together, and answers are kept."""

from __future__ import annotations

import multiprocessing
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sedic.batch import pace as module
from sedic.batch.encoding import Encoder, Encoding
from sedic.batch.pace import Pace
from sedic.semantics import Semantics
from sedic.understanding.words import textualize
from sedic.understanding.words.endpoints import Endpoint, EndpointError, read_endpoint
from sedic.understanding.words.memory import AnswerCache

PROFILE = '[home]\nbase_url = "http://127.0.0.1:1/v1"\nmodel = "eyes"\n'
ANSWER = '{"objects": [], "overall": "a red barn"}'


@pytest.fixture
def slept(monkeypatch):
    """A clock that stands, and what was slept."""
    slept: list[float] = []
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: 100.0, sleep=slept.append))
    return slept


@pytest.mark.parametrize("context", [None, multiprocessing.get_context("spawn")])
def test_turns_are_a_gap_apart_whoever_takes_them(slept, context):
    pace = Pace(30, context)
    for _ in range(3):
        pace.wait()
    assert slept == [0.0, 2.0, 4.0]


def test_a_question_waits_for_its_turn_and_a_kept_answer_needs_none(slept, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    provider = SimpleNamespace(name="eyes", identity="eyes", answer=lambda *_: ANSWER)
    monkeypatch.setattr(textualize, "provider_of", lambda *_: provider)
    endpoint = Endpoint("home", "http://127.0.0.1:1/v1", "eyes", requests_per_minute=6)
    encoder = Encoder(Encoding(endpoint=endpoint, pace=Pace(6)))
    images = [np.full((32, 32, 3), level, np.uint8) for level in (0, 9)]
    assert [encoder.words(image).overall for image in images] == ["a red barn"] * 2
    assert slept == [0.0, 10.0]
    with pytest.warns(UserWarning, match="asked for earlier"):
        encoder.words(images[0])
    assert slept == [0.0, 10.0]


def test_workers_that_share_nothing_get_a_part_of_the_pace_each():
    how = Encoding(endpoint=Endpoint("home", "http://127.0.0.1:1/v1", "eyes", requests_per_minute=6))
    assert pickle.loads(pickle.dumps(how.spread(3))).pace.gap == 30
    assert replace(how, endpoint=None).spread(3).pace is None


def test_the_pace_stands_in_the_profile(tmp_path):
    path = tmp_path / "endpoints.toml"
    for line, pace in (("", 0.0), ("requests_per_minute = 50\n", 50.0)):
        path.write_text(PROFILE + line)
        assert read_endpoint("home", path).requests_per_minute == pace
    for wrong in ("0", "-1", "true", '"fast"', "inf"):
        path.write_text(f"{PROFILE}requests_per_minute = {wrong}\n")
        with pytest.raises(EndpointError, match="requests_per_minute .* must be a number of questions above 0"):
            read_endpoint("home", path)


def test_answers_are_kept_while_others_forget_old_ones(tmp_path, recwarn):
    """Files that another worker takes away meanwhile; a link to nothing is like one."""
    try:
        (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    except OSError:
        pytest.skip("links need a privilege here")
    AnswerCache(tmp_path, most=1).keep(np.zeros((1, 1, 3), np.uint8), "what?", "eyes", 0, Semantics("a"))
    assert not recwarn.list
    assert len(list(tmp_path.glob("*.json"))) == 1
