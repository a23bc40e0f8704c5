"""Awaiting a blocking call in a daemon thread, so that one that hangs does not keep the process from ending.

Belongs here: the thread and its future. Does not: what is called; what runs again and again (periodic.py).
asyncio's own executor is not for it: the process waits for its threads at the end, for minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


async def call(blocking: Callable[[], _T], *, name: str) -> _T:
    """What `blocking` returns or raises. Cancelled, it goes on by itself."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def tell(done: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if future.done() else done())

    def run() -> None:
        try:
            result = blocking()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            raised = error if not isinstance(error, StopIteration) else RuntimeError(repr(error))
            tell(lambda: future.set_exception(raised))
        else:
            tell(lambda: future.set_result(result))

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future
