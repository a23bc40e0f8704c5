"""The thread that writes log lines: who logs never waits for who reads.

Belongs here: a bounded queue, writing in batches, counting what did not fit. Does not: a line (log.py).
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

# What waits for a reader that stands still; then lines are dropped. About 10,000 requests.
MAX_WAITING_BYTES = 4 * 2**20
# So many are written at once as come in this time: waking a thread for each would cost more than the line.
_BATCH_S = 0.01


class LogWriter:
    """Writes lines to one file descriptor, in order.

    `dropped_line` makes the line that says how many are missing there; `dropped` counts them since the start.
    """

    def __init__(
        self,
        descriptor: int,
        dropped_line: Callable[[int], bytes],
        *,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._descriptor = descriptor
        self._dropped_line = dropped_line
        self._max_waiting_bytes = max_waiting_bytes
        self._lines: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._waiting_bytes = 0
        self._untold = 0  # dropped, and not yet said in the log
        self.dropped = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Have a line written soon, or count it as dropped. Never waits."""
        with self._lock:
            if self._waiting_bytes + len(line) > self._max_waiting_bytes:
                self.dropped += 1
                self._untold += 1
                return
            self._lines.append(line)
            self._waiting_bytes += len(line)
            self._idle.clear()
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written, that long at most; whether it is."""
        self._hurry.set()
        written = self._idle.wait(timeout_s)
        self._hurry.clear()
        return written

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._hurry.wait(_BATCH_S)
            while batch := self._taken():
                self._write(batch)
                with self._lock:
                    self._waiting_bytes -= len(batch)
                    if not self._lines and not self._untold:
                        self._idle.set()

    def _taken(self) -> bytes:
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
            untold, self._untold = self._untold, 0
            if untold:  # what was dropped came after what waits
                lines.append(self._dropped_line(untold))
                self._waiting_bytes += len(lines[-1])
            return b"".join(lines)

    def _write(self, batch: bytes) -> None:
        rest = memoryview(batch)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody else made the descriptor so
                time.sleep(_BATCH_S)
            except OSError:  # the reader went away
                return
