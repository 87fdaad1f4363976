"""A chat server on loopback, and the watch over its key."""

from __future__ import annotations

import logging

import pytest

from sedic.understanding.words import options

from .chat_server import KEY, serving


@pytest.fixture(autouse=True)
def unknown_servers():
    """No server is known from an earlier test: another may have listened on its port."""
    options.forget()


@pytest.fixture
def server():
    """A server that answers well until it is told otherwise."""
    with serving() as server:
        yield server


@pytest.fixture
def no_key_anywhere(caplog, capfd, recwarn):
    """Whatever a test does, the key is in no log, no output and no warning."""
    caplog.set_level(logging.DEBUG)
    yield
    output = capfd.readouterr()
    logged = [caplog.handler.format(record) for record in caplog.get_records("call")]
    for text in (*logged, output.out, output.err, *[str(w.message) for w in recwarn]):
        assert KEY not in text
