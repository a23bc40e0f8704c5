"""A background thread that does one thing again and again, whatever happens, and knows its last success.

Belongs here: the loop, its delays, logging a change of state, the age of the last success.
Does not: what is done, who is told of the age (operator.py).
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from slipway.gateway.telemetry import log

_LONGEST_BACKOFF_S = 30.0
# 2 to this power is beyond the longest back-off.
_DOUBLINGS = 5
_LONGEST_TRACEBACK = 4_000


@dataclass(frozen=True)
class JobState:
    """How one job stands. `outage`: its last round ended as it does while a server is away."""

    name: str
    age_s: float  # since the last success; before the first, since the start
    silent_s: float  # since a round ended, however it did
    bound_s: float
    error: str | None
    outage: bool

    @property
    def trouble(self) -> str | None:
        """Why a replica with this job should get no requests, or None.

        That a server is away is no reason: all replicas share it, and serve from memory until it is back. A
        job that hangs or breaks is this replica's own.
        """
        if self.age_s <= self.bound_s or (self.outage and self.silent_s <= self.bound_s):
            return None
        return f"{self.name}: last done {self.age_s:.0f} s ago, more than {self.bound_s:.0f} s"


class Periodic:
    """Calls `step` every `interval_s`; after failures it waits, ever longer if told to.

    Failures of the `expected` kinds are outages, which pass; any other is told with where it came from. None
    ends the thread: what is wrong with one answer may be right with the next. It is a daemon thread: a call
    that hangs on a dead network does not keep the process from ending.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], object],
        interval_s: float,
        expected: tuple[type[Exception], ...],
        *,
        bound_s: float,
        backoff: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._step = step
        self._interval_s = interval_s
        self._expected = expected
        self._bound_s = bound_s
        self._backoff = backoff
        self._clock = clock
        self._failures = 0
        self._outage = False
        self._succeeded = self._ended = clock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.error: str | None = None

    def start(self) -> None:
        """Begin; the first step comes at once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ask the loop to end and wait for it that long at most."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def state(self) -> JobState:
        """How the job stands now."""
        now = self._clock()
        return JobState(
            name=self.name,
            age_s=now - self._succeeded,
            silent_s=now - self._ended,
            bound_s=self._bound_s,
            error=self.error,
            outage=self._outage,
        )

    def once(self) -> None:
        """One step, with its failure taken down."""
        try:
            self._step()
        except BaseException as error:  # noqa: BLE001 - a library's panic is no Exception
            self._take_down(error)
        else:
            if self.error is not None:
                log.write("info", f"{self.name} works again")
            self._failures, self.error, self._outage = 0, None, False
            self._succeeded = self._clock()
        self._ended = self._clock()

    def _take_down(self, error: BaseException) -> None:
        self._failures += 1
        self._outage = isinstance(error, self._expected)
        reason = log.reason_of(error, self._expected)
        if reason != self.error:
            if self._outage:
                log.write("warning", f"{self.name} fails", error=reason)
            else:
                log.write("error", f"{self.name} breaks", error=reason, traceback=_traceback_of(error))
        self.error = reason

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.once()
            self._stopped.wait(self._delay_s())

    def _delay_s(self) -> float:
        if not self._failures or not self._backoff:
            return self._interval_s
        doubled = 2.0 ** min(self._failures - 1, _DOUBLINGS)
        return min(_LONGEST_BACKOFF_S, max(self._interval_s, 1.0), doubled)


def _traceback_of(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
    except Exception:  # noqa: BLE001
        return "(none)"
