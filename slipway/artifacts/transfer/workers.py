"""A few threads that share one list of work, stop together on the first failure, and report as they go.

Belongs here: threads, stopping, and the steady tick for progress.
Does not: what the work is (transfer.py, weights/delivery.py, images/mirror.py, node/cache.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")

TICK_S = 0.5


class StoppedError(Exception):
    """Another worker failed; this one gives up without a cause of its own."""


class Stop:
    """Tells all workers of one run to end. `pause` sleeps, but not beyond that."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def set(self) -> None:
        """End the run."""
        self._stopped.set()

    def pause(self, seconds: float) -> None:
        """Sleep; raises StoppedError when the run ends meanwhile."""
        if self._stopped.wait(seconds):
            raise StoppedError

    def check(self) -> None:
        """Raise StoppedError when the run has ended."""
        if self._stopped.is_set():
            raise StoppedError


def run(
    work: Iterable[T],
    worker: Callable[[Iterator[T]], None],
    *,
    workers: int,
    stop: Stop,
    tick: Callable[[], None],
) -> None:
    """Start `worker` that many times over one shared iterator and wait; raises the first real failure.

    Work is handed out in order, so the oldest unfinished piece is always in somebody's hands. `tick` runs in
    the calling thread, about twice a second. An interrupt (Ctrl-C) stops the workers, too.
    """
    shared = _Shared(work)
    with ThreadPoolExecutor(workers) as pool:
        pending: set[Future[None]] = {pool.submit(worker, shared) for _ in range(workers)}
        try:
            while pending:
                done, pending = wait(pending, timeout=TICK_S, return_when=FIRST_EXCEPTION)
                tick()
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            raise


def each(work: Sequence[T], action: Callable[[T], None], *, workers: int, tick: Callable[[], None]) -> None:
    """Do the action for every piece of work, several at a time; raises the first failure."""
    stop = Stop()

    def worker(pieces: Iterator[T]) -> None:
        for piece in pieces:
            stop.check()
            action(piece)

    if work:
        run(work, worker, workers=min(workers, len(work)), stop=stop, tick=tick)


class _Shared(Iterator[T]):
    def __init__(self, work: Iterable[T]) -> None:
        self._work = iter(work)
        self._lock = threading.Lock()

    def __next__(self) -> T:
        with self._lock:
            return next(self._work)
