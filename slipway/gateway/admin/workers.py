"""Blocking calls off the event loop: a bounded number at once, a bounded part of them for one organization.

Belongs here: who waits, and for how long. Does not: what is called.

A call that hangs keeps its place until it ends, so that a server which does not answer holds a few threads
and never more; who waited for it is told after the time limit. One that nobody waits for does not begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from slipway.gateway.admin import refusals

_T = TypeVar("_T")


class InThread(Protocol):
    """Awaits a blocking call in a thread of its own."""

    def __call__(self, blocking: Callable[[], _T], *, name: str) -> Awaitable[_T]:
        """What `blocking` returns or raises."""
        ...


class Job(Generic[_T]):
    """One call. `begun`: it has a place and runs, whoever waits."""

    def __init__(self) -> None:
        self.begun = False
        self.given_up = False
        self.task: asyncio.Task[_T]


class Workers:
    """Places for blocking calls. `patience_s`: for a place and the call together."""

    def __init__(self, what: str, places: int, patience_s: float, in_thread: InThread) -> None:
        self._what = what
        self._in_thread = in_thread
        self._patience_s = patience_s
        self._places = asyncio.Semaphore(places)
        self._places_of_one = max(1, places // 2)
        self._of_org: dict[str, tuple[asyncio.Semaphore, int]] = {}

    async def call(self, org: str, blocking: Callable[[], _T]) -> _T:
        """What `blocking` returns or raises. Raises ApiError (503) when it takes too long."""
        return await self.result(self.start(org, blocking))

    def start(self, org: str, blocking: Callable[[], _T]) -> Job[_T]:
        """Begin it when there is a place."""
        job: Job[_T] = Job()
        job.task = asyncio.create_task(self._when_there_is_a_place(org, job, blocking))
        job.task.add_done_callback(_looked_at)
        return job

    async def result(self, job: Job[_T]) -> _T:
        """Its result, within the time limit. Several may wait. Raises ApiError (503)."""
        done, _ = await asyncio.wait({job.task}, timeout=self._patience_s)
        if not done:
            job.given_up = True
            raise refusals.too_slow(self._what, self._patience_s)
        return job.task.result()

    async def _when_there_is_a_place(self, org: str, job: Job[_T], blocking: Callable[[], _T]) -> _T:
        own, users = self._of_org.get(org) or (asyncio.Semaphore(self._places_of_one), 0)
        self._of_org[org] = (own, users + 1)
        try:
            async with own, self._places:
                if job.given_up:
                    raise refusals.too_slow(self._what, self._patience_s)
                job.begun = True
                return await self._in_thread(blocking, name=f"administration: {self._what}")
        finally:
            _, users = self._of_org.pop(org)
            if users > 1:
                self._of_org[org] = (own, users - 1)


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Nobody may wait for it any more; asyncio would complain of an error that nobody asks for."""
    if not task.cancelled():
        task.exception()
