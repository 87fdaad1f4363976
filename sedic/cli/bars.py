"""Bars in the shell, with a total, for whatever takes longer than a moment; only where someone watches."""

from __future__ import annotations

from types import TracebackType
from typing import Any

DELAY = 1.0  # seconds without a bar: what is done by then needs none


class Bars:
    """A :data:`sedic.progress.Watcher`: a bar for everything that is under way; use it in ``with``."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Moves the bar of ``what``; all of ``total`` takes it away."""
        from tqdm import tqdm

        if done >= total:
            if what in self._bars:
                self._bars.pop(what).close()
            return
        if what not in self._bars:
            # disable=None: no bar where standard error is no terminal.
            self._bars[what] = tqdm(desc=what, total=total, leave=False, disable=None, delay=DELAY, mininterval=0.2)
        bar = self._bars[what]
        bar.update(done - bar.n)
