"""One line of progress every few seconds, and the last: for run logs, and for output that is no terminal.

Belongs here: the wording of a line, and the rate of lines.
Does not: where a line goes (the caller says), or bars in a terminal (slipway.commands).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from slipway.artifacts.transfer.progress import Progress

LINE_EVERY_S = 5.0


def line(progress: Progress) -> str:
    """Done and total, rate, when it will end, and what is waited for, in the words of one line."""
    eta = "" if progress.eta_s is None else f", {progress.eta_s:.0f} s to go"
    waits = "" if progress.waiting is None else f"; waits: {progress.waiting}"
    return (
        f"{progress.done_bytes / 1e6:.1f} of {progress.total_bytes / 1e6:.1f} MB"
        f" ({progress.fraction:.0%}), {progress.rate_bytes_per_s / 1e6:.1f} MB/s{eta}{waits}"
    )


class Steady:
    """A progress.Report that passes on one line every `every_s` seconds, and the last one always."""

    def __init__(self, show: Callable[[str], None], every_s: float = LINE_EVERY_S) -> None:
        self._show = show
        self._every_s = every_s
        self._last = time.monotonic()
        self._done = False

    def __call__(self, progress: Progress) -> None:
        """Take a look; most of them are not passed on."""
        now = time.monotonic()
        complete = progress.done_files == progress.total_files
        if self._done or (now - self._last < self._every_s and not complete):
            return
        self._last, self._done = now, complete
        self._show(line(progress))
