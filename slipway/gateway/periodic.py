"""A background thread that does one thing again and again, and says when it fails and when it works again.

Belongs here: the loop, its delays, and logging a change of state. Does not: what is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from slipway.gateway.telemetry import log

_LONGEST_BACKOFF_S = 30.0


class Periodic:
    """Calls `step` every `interval_s`; after failures of the expected kinds it waits, ever longer if told to.

    A daemon thread: a call that hangs on a dead network does not keep the process from ending.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], object],
        interval_s: float,
        expected: tuple[type[Exception], ...],
        *,
        backoff: bool = False,
    ) -> None:
        self._name = name
        self._step = step
        self._interval_s = interval_s
        self._expected = expected
        self._backoff = backoff
        self._failures = 0
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

    def once(self) -> None:
        """One step, with its failure taken down."""
        try:
            self._step()
        except self._expected as error:
            self._failures += 1
            if str(error) != self.error:
                log.write("warning", f"{self._name} fails", error=str(error))
            self.error = str(error)
            return
        if self.error is not None:
            log.write("info", f"{self._name} works again")
        self._failures = 0
        self.error = None

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.once()
            self._stopped.wait(self._delay_s())

    def _delay_s(self) -> float:
        if not self._failures or not self._backoff:
            return self._interval_s
        return min(_LONGEST_BACKOFF_S, max(self._interval_s, 1.0), 2.0 ** (self._failures - 1))
