"""Two ways to do the same work, each in processes of its own, measured alike.

Belongs here: running one side and reading its wall time, CPU and memory from the kernel.
Does not: what a side does (hub_to_store.py and image_mirror.py beside it), targets (artifacts.py).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Cost:
    """What one run of one side took: wall time, CPU time (user and system), and peak resident memory."""

    wall_s: float
    cpu_s: float
    resident_bytes: int


@dataclass(frozen=True)
class Compared:
    """Ours and the better of theirs, by wall time."""

    ours: Cost
    theirs: Cost

    @property
    def throughput_ratio(self) -> float:
        """How many times faster ours is."""
        return self.theirs.wall_s / self.ours.wall_s

    @property
    def cpu_ratio(self) -> float:
        """Our CPU seconds for one of theirs."""
        return self.ours.cpu_s / self.theirs.cpu_s


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end and measure it with all its children; raises CalledProcessError."""
    began = time.perf_counter()
    process = subprocess.Popen(
        list(command), cwd=REPOSITORY, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL
    )
    watched = _Peak(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, watched.end())


class _Peak(threading.Thread):
    """Peak resident memory of a process. Its rusage would count this process before the exec, too."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._bytes = 0
        self.start()

    def run(self) -> None:
        """Look 50 times a second."""
        while not self._ended.wait(0.02):
            with contextlib.suppress(psutil.Error):
                self._bytes = max(self._bytes, self._process.memory_info().rss)

    def end(self) -> int:
        """The peak in bytes, when the process has ended."""
        self._ended.set()
        self.join()
        return self._bytes


def in_turns(sides: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """Run all sides in turns, so that a slow minute of the machine meets each; the least time of each.

    What else a machine does, such as a host that gives memory to its guest, only ever adds to a time.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for number in range(rounds):
        # Who goes first changes, so that nobody always finds the caches warm.
        names = list(sides)[number % len(sides) :] + list(sides)[: number % len(sides)]
        for name in names:
            costs[name].append(sides[name]())
    return {name: best(each) for name, each in costs.items()}


def best(costs: Sequence[Cost]) -> Cost:
    """The least time and CPU of these; memory as much as any of them took."""
    return Cost(
        min(each.wall_s for each in costs),
        min(each.cpu_s for each in costs),
        max(each.resident_bytes for each in costs),
    )
