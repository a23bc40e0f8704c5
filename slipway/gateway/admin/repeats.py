"""Requests that come twice: one with the `Idempotency-Key` of another gets that one's answer.

Belongs here: what is remembered, how much of it and for how long. Does not: making a change.

Kept in this gateway's memory alone. Without the header two requests are two requests.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from slipway.gateway.admin import refusals
from slipway.gateway.admin.asked import Answer
from slipway.gateway.admin.workers import Job

_KEPT_S = 600.0
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class _Known:
    request: bytes
    since: float
    job: Job[Answer]

    @property
    def is_worth_keeping(self) -> bool:
        """It is under way, or went well: what failed is tried again."""
        task = self.job.task
        return not task.done() or (not task.cancelled() and task.exception() is None)


class Repeats:
    """Jobs by organization and `Idempotency-Key`."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes], _Known] = OrderedDict()

    def once(self, org: str, key: bytes, request: bytes, start: Callable[[], Job[Answer]]) -> Job[Answer]:
        """The job of the first request with this key; `request` is a digest of it.

        Raises ApiError (409) when that was another request.
        """
        name, now = (org, key), time.monotonic()
        self._forget(now)
        known = self._known.get(name)
        if known is not None and known.request != request:
            raise refusals.key_reused()
        if known is None or not known.is_worth_keeping:
            known = self._known[name] = _Known(request, now, start())
        return known.job

    def _forget(self, now: float) -> None:
        while self._known:
            oldest = next(iter(self._known.values()))
            if len(self._known) < _MOST and now - oldest.since < _KEPT_S:
                return
            self._known.popitem(last=False)
