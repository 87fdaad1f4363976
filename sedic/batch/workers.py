"""The processes that work: each loads its models once, and another one takes the place of one that dies.

Each worker is a pool of one (:class:`concurrent.futures.ProcessPoolExecutor`), so that it is known which picture a
process died of, and no other one loses anything. Processes are spawned, never forked: PyTorch's threads and CUDA do not
live through a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import connection
from types import TracebackType

import psutil

from ..errors import SedicError
from ..threads import WAITING, cores
from . import places
from .plan import Item
from .work import Maker, Result, Work, do

SHARE = 0.8  # of the memory that is free as a run begins, for all workers together
AHEAD = 2  # items that a worker has at once: it never waits for this process, which may have to wait for a core
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
DIED = (
    "The worker on it died, perhaps ended by the system for want of memory; take fewer --jobs, or make the picture "
    "smaller, and run the same again."
)


class WorkerError(SedicError):
    """No worker can be had."""


def default_jobs(work: Work, devices: Sequence[str], items: int) -> int:
    """Workers for so many items: one for each GPU, else one for each core, as far as free memory reaches."""
    if any(device != "cpu" for device in devices):
        return len(devices)
    fitting = int(SHARE * psutil.virtual_memory().available / work.memory())
    return max(1, min(cores(), fitting, items))


class Crew:
    """The workers of a run; use it in ``with``, which ends them, at once where an error or Ctrl-C leaves it."""

    def __init__(self, work: Work, jobs: int, devices: Sequence[str] = ("cpu",)) -> None:
        """Begins ``jobs`` processes, which take the devices in turn."""
        self._most = int(SHARE * psutil.virtual_memory().total / jobs)
        # As many threads as there are cores for each; what a person said of it stays.
        chosen = dict.fromkeys(THREADS, str(max(1, cores() // jobs)))
        if jobs > 1 and not any(name in os.environ for name in WAITING):
            chosen["OMP_WAIT_POLICY"] = "PASSIVE"
        self._environment = {name: value for name, value in chosen.items() if name not in os.environ}
        self._slots = [_Slot(work, devices[number % len(devices)], self._environment) for number in range(jobs)]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for slot in self._slots:
            slot.end(at_once=kind is not None)

    def ready(self) -> None:
        """Waits until all have their models.

        Raises:
            SedicError: they cannot be used, or there is no memory for them.
        """
        for slot in self._slots:
            slot.ready()

    def results(self, items: Iterator[Item]) -> Iterator[tuple[Item, Result]]:
        """Hands out the items and gives back what came of them, in the order of their ends."""

        def feed(slot: _Slot) -> None:
            while len(slot.busy) < AHEAD and (item := next(items, None)) is not None:
                slot.submit(item)

        for slot in self._slots:
            feed(slot)
        while busy := {future: slot for slot in self._slots for future in slot.busy}:
            ended, _ = wait(busy, return_when=FIRST_COMPLETED)
            for slot in {busy[future] for future in ended}:
                for item, result in slot.ended(self._most):
                    feed(slot)
                    yield item, result


class _Slot:
    """The place of one worker; ``busy`` is what it was given and has not given back."""

    def __init__(self, work: Work, device: str, environment: Mapping[str, str]) -> None:
        self._arguments = work, device
        self._environment = environment
        self.busy: dict[Future[Result], Item] = {}
        self.begin()

    def begin(self) -> None:
        """Begins a process, which loads its models."""
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _begin, self._arguments)
        with _environment(self._environment):
            self._loaded = self._pool.submit(_load)

    def ready(self) -> None:
        """Waits until the models are there; see :meth:`Crew.ready`."""
        try:
            failure = self._loaded.result()
        except BrokenExecutor as error:
            raise WorkerError(
                "A worker died while it loaded its models, perhaps for want of memory; take fewer --jobs."
            ) from error
        if failure:
            raise WorkerError(failure)

    def submit(self, item: Item) -> None:
        """Has it work on an item, after those that it has."""
        try:
            future = self._pool.submit(_work, item)
        except BrokenExecutor:  # it died with nothing to do
            self.begin()
            future = self._pool.submit(_work, item)
        self.busy[future] = item

    def ended(self, most: int) -> Iterator[tuple[Item, Result]]:
        """What came of the items that ended; a process that died, or holds more than ``most`` bytes, is replaced."""
        for future, item in list(self.busy.items()):  # in the order in which it works on them
            if not future.done():
                return
            del self.busy[future]
            try:
                result = future.result()
            except BrokenExecutor:
                result = Result(error=DIED)
            if result.error == DIED or result.memory > most:
                self._replace()
                yield item, result
                return
            yield item, result

    def _replace(self) -> None:
        """Another process, which takes over what this one has not begun."""
        others = list(self.busy.values())
        self.busy.clear()
        self.end(at_once=True)
        self.begin()
        for item in others:
            self.submit(item)

    def end(self, at_once: bool = False) -> None:
        """Ends the process, ``at_once`` also where it works."""
        if at_once:
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):  # public from Python 3.14 on
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)


_work_of_this_process: tuple[Work, str] | None = None
_maker: Maker | None = None


def _begin(work: Work, device: str) -> None:
    """What a worker does first."""
    global _work_of_this_process
    _work_of_this_process = work, device
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the run ends its workers itself
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """A run that is killed leaves no worker behind."""
    connection.wait([sentinel])
    os._exit(1)


def _load() -> str:
    """Loads the models; returns why that is impossible, or nothing."""
    global _maker
    assert _work_of_this_process is not None
    work, device = _work_of_this_process
    try:
        _maker = work.begin(device)
    except SedicError as error:
        return str(error)
    except MemoryError:
        return "There is not enough memory for the models; take fewer --jobs."
    return ""


def _work(item: Item) -> Result:
    if _maker is None and (failure := _load()):
        return Result(error=failure)
    assert _maker is not None
    with places.brought_here(item.semantics) as semantics:
        return do(_maker, str(item.source), lambda: places.read(item.source), semantics)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables that are not set, for a process that begins meanwhile."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
