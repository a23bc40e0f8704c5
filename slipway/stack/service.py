"""One server of the stack as a value: how it is started, what it listens on, when it is healthy.

Belongs here: the type. Does not: the servers themselves (embedded.py), starting them (supervisor.py).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.stack.health import Trouble

# Carried by every process of a stack, so that one left over is found without any file.
HOME_MARKER = "SLIPWAY_STACK"
SERVICE_MARKER = "SLIPWAY_STACK_SERVICE"
SETTINGS_MARKER = "SLIPWAY_STACK_SETTINGS"


def _nothing() -> None:
    return None


def _no_finish(_since: float) -> None:
    return None


def _healthy(_since: float) -> Trouble | None:
    return None


@dataclass(frozen=True)
class Part:
    """A process that a service cannot do without, besides its main one.

    `pattern` is searched in the process's command line. `heals` says that the service replaces it by itself.
    """

    name: str
    pattern: re.Pattern[str]
    heals: bool = False


@dataclass(frozen=True)
class Service:
    """One server. Durations are in seconds."""

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    ports: Mapping[str, int]
    url: str = ""
    """Where a person or a client finds it."""
    after: frozenset[str] = frozenset()
    """Services that must be ready before this one is started."""
    parts: tuple[Part, ...] = ()
    prepare: Callable[[], None] = field(default=_nothing, repr=False)
    """Run just before the start; raises StackError."""
    trouble: Callable[[float], Trouble | None] = field(default=_healthy, repr=False)
    """What keeps it from serving, from its own health check, given its main process's start in seconds since
    the epoch; None when it serves. Never raises."""
    finish: Callable[[float], None] = field(default=_no_finish, repr=False)
    """Run when it became healthy, before what comes after it, given its main process's start as `trouble` is.
    May be run again for the same process; raises RuntimeError."""
    start_deadline_s: float = 60.0
    patience_s: float = 10.0
    """How long a running service may be unhealthy before it is started again."""
    settings: str = ""
    """What else it was started with, such as the digest of a file it reads."""

    @property
    def settings_digest(self) -> str:
        """Digest of what it is started with: a process with another one was started with other settings."""
        document = [self.command, str(self.directory), sorted(self.environment.items()), self.settings]
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:16]

    def markers(self, home: Path) -> dict[str, str]:
        """Variables that name the stack, the service and its settings."""
        return {
            HOME_MARKER: str(home),
            SERVICE_MARKER: self.name,
            SETTINGS_MARKER: self.settings_digest,
        }
