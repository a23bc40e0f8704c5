"""The stack's processes as they are: found by their marks, never by memory alone.

Belongs here: looking at the machine's processes, telling which are ours, ending them.
Does not: deciding what should run (decisions.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from slipway.stack.service import HOME_MARKER, SERVICE_MARKER, SETTINGS_MARKER
from slipway.stack.state import Leader

UNKNOWN = "unknown"
_POLL_S = 0.1
_SAME_START_S = 0.05  # psutil derives the start time from clock ticks


# Children of this process, held so that they are reaped when they end.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Seen:
    """One live process. `service` and `settings` are its marks of this stack, None without them.

    `wiped` says that its environment is gone, so that it could be ours for all its marks say.
    """

    pid: int
    parent: int
    session: int
    created_at: float
    command: str
    service: str | None = None
    settings: str | None = None
    wiped: bool = False

    def is_leader(self, leader: Leader | None) -> bool:
        """Whether it is the very process that was recorded."""
        return (
            leader is not None
            and self.pid == leader.pid
            and abs(self.created_at - leader.created_at) < _SAME_START_S
        )


def spawn(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], output: int
) -> psutil.Process:
    """Start a command in a session of its own: Ctrl-C and the end of this terminal do not reach it.

    `output` is the descriptor that takes what it prints. Raises OSError.
    """
    child = subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    _children.append(child)
    return psutil.Process(child.pid)


def look(home: Path) -> list[Seen]:
    """Look at all live processes of this machine that may be seen. Takes some 10 ms per 50 of them."""
    _children[:] = [child for child in _children if child.poll() is None]
    seen = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            visible = _see(process, home)
            if visible is not None:
                seen.append(visible)
    return seen


def _see(process: psutil.Process, home: Path) -> Seen | None:
    with process.oneshot():
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        try:
            environment = process.environ()
        except psutil.AccessDenied:  # another user's, so not ours
            return None
        ours = environment.get(HOME_MARKER) == str(home)
        return Seen(
            pid=process.pid,
            parent=process.ppid(),
            session=os.getsid(process.pid),
            created_at=process.create_time(),
            command=" ".join(process.cmdline()),
            service=environment.get(SERVICE_MARKER, UNKNOWN) if ours else None,
            settings=environment.get(SETTINGS_MARKER) if ours else None,
            wiped="PATH" not in environment,
        )


def running_homes() -> list[Path]:
    """Homes of the stacks that run on this machine, as far as this user may see."""
    homes = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError, OSError):
            home = process.environ().get(HOME_MARKER)
            if home and process.pid != os.getpid():
                homes.add(Path(home))
    return sorted(homes)


def owned(
    seen: Iterable[Seen], leaders: Mapping[str, Leader], myself: int | None = None
) -> dict[str, list[Seen]]:
    """Group this stack's processes by service. Pure; `myself` (by default this process) is never among them.

    A process is ours when it carries our mark or descends from one of ours. Ray rewrites the titles of its
    agents, which on Linux wipes out the environment that others see: of those, the ones in the session of a
    marked process or of a recorded main process are ours, too.
    """
    by_pid = {process.pid: process for process in seen}
    spared = _with_ancestors(os.getpid() if myself is None else myself, by_pid)
    candidates = {pid: process for pid, process in by_pid.items() if pid not in spared}
    sessions = _sessions(candidates, leaders, {by_pid[pid].session for pid in spared if pid in by_pid})
    services = {
        pid: name
        for pid, process in candidates.items()
        if (name := process.service or (sessions.get(process.session) if process.wiped else None)) is not None
    }
    grouped: dict[str, list[Seen]] = {}
    for pid, process in sorted(candidates.items()):
        name = _inherited(pid, candidates, services)
        if name is not None:
            grouped.setdefault(name, []).append(process)
    return grouped


def _with_ancestors(pid: int, by_pid: Mapping[int, Seen]) -> set[int]:
    line: set[int] = set()
    while pid in by_pid and pid not in line:
        line.add(pid)
        pid = by_pid[pid].parent
    return line | {os.getpid()}


def _sessions(
    candidates: Mapping[int, Seen], leaders: Mapping[str, Leader], mine: set[int]
) -> dict[int, str]:
    sessions = {each.session: each.service for each in candidates.values() if each.service is not None}
    for name, leader in leaders.items():
        now = candidates.get(leader.pid)
        # Every service is started as the leader of a session. The number is given to a stranger only when the
        # session is empty, and then the stranger itself has another start time.
        if now is None or now.is_leader(leader):
            sessions.setdefault(leader.pid, name)
    return {session: name for session, name in sessions.items() if session not in mine}


def _inherited(pid: int, candidates: Mapping[int, Seen], services: Mapping[int, str]) -> str | None:
    passed: set[int] = set()
    while pid in candidates and pid not in passed:
        if pid in services:
            return services[pid]
        passed.add(pid)
        pid = candidates[pid].parent
    return None


def roots(processes: Iterable[Seen]) -> list[Seen]:
    """Those whose parent is not among them: they pass a SIGTERM on to their children as they see fit."""
    every = list(processes)
    pids = {each.pid for each in every}
    return [each for each in every if each.parent not in pids]


def stop(find: Callable[[], list[Seen]], grace_s: float) -> bool:
    """SIGTERM the roots of what `find` finds, wait, SIGKILL the rest; False when some cannot be ended.

    `find` is asked again and again: a process that is being ended may still start another.
    """
    asked: set[tuple[int, float]] = set()
    deadline = time.monotonic() + grace_s
    while processes := find():
        if time.monotonic() > deadline:
            return _kill(find)
        for process in roots(processes):
            if (process.pid, process.created_at) not in asked:
                asked.add((process.pid, process.created_at))
                _signal(process, signal.SIGTERM)
        time.sleep(_POLL_S)
    return True


def _kill(find: Callable[[], list[Seen]], patience_s: float = 10.0) -> bool:
    deadline = time.monotonic() + patience_s
    while processes := find():
        if time.monotonic() > deadline:
            return False
        for process in processes:
            _signal(process, signal.SIGKILL)
        time.sleep(_POLL_S)
    return True


def _signal(seen: Seen, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        process = psutil.Process(seen.pid)
        # The number may have been given to another process since we looked.
        if abs(process.create_time() - seen.created_at) < _SAME_START_S:
            process.send_signal(number)


@dataclass(frozen=True)
class Memory:
    """Memory in bytes: `resident_bytes` counts a page shared by n processes n times, `used_bytes` once.

    Linux tells the latter as proportional set size. Elsewhere it is the unique set size, a lower bound.
    """

    resident_bytes: int = 0
    used_bytes: int = 0

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.resident_bytes + other.resident_bytes, self.used_bytes + other.used_bytes)


def memory(processes: Iterable[Seen]) -> Memory:
    """Sum over processes; those that have ended meanwhile count nothing."""
    total = Memory()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            full = psutil.Process(process.pid).memory_full_info()
            total += Memory(full.rss, getattr(full, "pss", full.uss))
    return total
