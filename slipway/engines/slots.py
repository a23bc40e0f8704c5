"""Work of an engine that blocks, kept off the event loop: so many at once, the rest wait in order.

Belongs here: threads, the bound on what waits, telling work whose client is gone to stop.
Does not: any engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from slipway.engines.frontend import RefusedError

T = TypeVar("T")

# More would wait longer than any client does; the gateway goes to another replica.
MOST_WAITING = 256
_END = object()


class Stop:
    """Whether nobody wants the result any more; work looks at it between its steps."""

    def __init__(self) -> None:
        self.requested = False


class Slots:
    """At most `count` pieces of work at once, each in a thread.

    Cancelled work goes on to its next step, which sees the stop; its slot is free only then.
    """

    def __init__(self, count: int, name: str) -> None:
        self.count = count
        self._free = asyncio.Semaphore(count)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[[Stop], T]) -> T:
        """The result of the work; raises what it raises, or RefusedError (503) when too much waits."""
        await self._acquire()
        stop = Stop()
        working = self._step(work, stop)
        working.add_done_callback(self._release)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            stop.requested = True
            raise

    async def stream(self, make: Callable[[Stop], Iterator[T]]) -> AsyncGenerator[T, None]:
        """The items of an iterator as they come, in one slot until its end."""
        await self._acquire()
        stop = Stop()
        items = make(stop)
        step: asyncio.Future[Any] | None = None
        try:
            while True:
                step = self._step(next, items, _END)
                item = await asyncio.shield(step)
                if item is _END:
                    return
                yield item
        finally:
            stop.requested = True
            self._finish(items, step)

    def _finish(self, items: Iterator[Any], step: asyncio.Future[Any] | None) -> None:
        """Close the iterator once its last step is over, then free the slot."""

        def close(_: object = None) -> None:
            self._step(getattr(items, "close", lambda: None)).add_done_callback(self._release)

        if step is None or step.done():
            close()
        else:
            step.add_done_callback(close)

    async def is_alive(self, timeout_s: float) -> bool:
        """Whether the event loop turns, as the answer shows; work may take as long as it takes."""
        await asyncio.sleep(0)
        return True

    async def _acquire(self) -> None:
        if self._waiting >= MOST_WAITING:
            told = f"{self._waiting} requests wait for this engine already. Ask again later."
            raise RefusedError(503, told, "engine_busy")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    def _step(self, work: Callable[..., Any], *given: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    def _release(self, done: asyncio.Future[Any]) -> None:
        if not done.cancelled():
            done.exception()  # seen: nobody may be left to see it
        self._free.release()
