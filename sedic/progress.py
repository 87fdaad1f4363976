"""How far long work is, told to whoever watches: a bar in the shell. Where nobody does, nothing is told.

>>> with watched_by(lambda what, done, total: print(f"{what}: {done} of {total}")):
...     for _ in track(["a", "b"], "letters"):
...         pass
letters: 0 of 2
letters: 1 of 2
letters: 2 of 2
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Watcher = Callable[[str, int, int], None]
"""Told what is done, how many steps of it are, and how many there are; the last time all of them."""

T = TypeVar("T")
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Whoever works within tells ``watcher``."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(what: str, done: int, total: int) -> None:
    """Tells the watcher, if there is one."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(what, done, total)


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """The items in turn, each told when the next one is asked for."""
    tell(what, 0, len(items))
    try:
        for done, item in enumerate(items, 1):
            yield item
            if done < len(items):
                tell(what, done, len(items))
    finally:
        tell(what, len(items), len(items))
