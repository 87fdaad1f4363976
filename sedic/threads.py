"""How many threads to compute with where other programs work beside this one, and how they wait for one another.

OpenMP's threads spin at every barrier. On a quiet machine that is quickest; where a core is taken, all wait for the one
thread that has none, and a decode of 19 seconds takes minutes. So a process of ours looks how much of the processor
others use: before PyTorch is loaded it says how threads wait, and from stage to stage how many there are.

For processes of our own only: the command line, the demo's server, the measurements. Inside somebody's ComfyUI
nothing global is changed. What a person says in the environment (``OMP_NUM_THREADS``, ``OMP_WAIT_POLICY``,
``GOMP_SPINCOUNT``) stays as it is.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

LEAST_LOOK = 0.1  # seconds; processor times are counted in hundredths
TOLERATED = 0.4  # cores that others may use before one is left to them
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@dataclass(frozen=True)
class Look:
    """Processor seconds up to now: of all processes of this machine, and of this one."""

    at: float
    all: float
    own: float

    @classmethod
    def now(cls) -> Look:
        """Looks at the clock and the counters."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # within user and nice already
        return cls(time.monotonic(), sum(times) - idle - guests, time.process_time())

    def busy_since(self, earlier: Look) -> float:
        """Cores that other processes used in the mean between two looks, 0 or more."""
        return max(0.0, (self.all - earlier.all) - (self.own - earlier.own)) / (self.at - earlier.at)


_last = Look.now()  # this module is imported early: what comes until the first question is a look for nothing


def cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_beside(busy: float) -> int:
    """How many threads are worth having where others use ``busy`` cores; at least one."""
    return max(1, min(cores(), int(cores() - busy + TOLERATED)))


def busy_cores() -> float:
    """Cores that other processes use, in the mean since this was last asked."""
    global _last
    time.sleep(max(0.0, _last.at + LEAST_LOOK - time.monotonic()))
    now = Look.now()
    busy, _last = now.busy_since(_last), now
    return busy


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The variables that a process needs before it loads PyTorch, but for those that ``given`` has.

    On a quiet machine there are none: spinning is a fifth quicker there.
    """
    threads = threads_beside(busy_cores())
    if threads == cores():
        return {}
    wanted = {} if any(name in given for name in WAITING) else {"OMP_WAIT_POLICY": "PASSIVE"}
    return wanted | ({} if "OMP_NUM_THREADS" in given else {"OMP_NUM_THREADS": str(threads)})


def share() -> None:
    """Makes this process a good neighbour: says how its threads wait, which OpenMP reads once, as PyTorch is loaded.

    Later it does nothing. How many threads there are is left to :func:`adapt`, which can go up again.
    """
    if "torch" not in sys.modules:
        chosen = environment(os.environ)
        chosen.pop("OMP_NUM_THREADS", None)
        os.environ.update(chosen)


def adapt() -> None:
    """Sets PyTorch's threads to what others leave now, unless a person has set them."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(threads_beside(busy_cores()))
