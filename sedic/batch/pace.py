"""How often an endpoint is asked, by all processes of a run together."""

from __future__ import annotations

import time
from contextlib import nullcontext
from multiprocessing.context import BaseContext
from typing import Any


class Pace:
    """Turns, ``60 / per_minute`` seconds apart.

    With a ``context`` of processes it is theirs together, and is handed to them as they start; without one it is a
    process's own.
    """

    def __init__(self, per_minute: float, context: BaseContext | None = None) -> None:
        """See the class."""
        self.gap = 60 / per_minute
        self._shared: Any = context.Value("d", 0.0) if context else None
        self._own = 0.0

    def wait(self) -> None:
        """Waits for the next turn."""
        with self._shared.get_lock() if self._shared else nullcontext():
            now = time.time()  # the one clock that processes share on every system
            turn = max(now, min(self._shared.value if self._shared else self._own, now + 3600))
            self._own = turn + self.gap
            if self._shared:
                self._shared.value = self._own
        time.sleep(turn - now)
