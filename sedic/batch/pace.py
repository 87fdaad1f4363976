"""How often an endpoint is asked, by all processes of a run together."""

from __future__ import annotations

import time
from multiprocessing.context import BaseContext
from typing import Any


class Pace:
    """Turns, ``60 / per_minute`` seconds apart; handed to processes as they start."""

    def __init__(self, per_minute: float, context: BaseContext) -> None:
        """``context``: of the processes."""
        self.gap = 60 / per_minute
        self._next: Any = context.Value("d", 0.0)

    def wait(self) -> None:
        """Waits for the next turn."""
        with self._next.get_lock():
            now = time.time()  # the one clock that processes share on every system
            turn = max(now, min(self._next.value, now + 3600))
            self._next.value = turn + self.gap
        time.sleep(turn - now)
