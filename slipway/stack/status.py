"""What `slipway status` says of one service.

Belongs here: the value and its line of text. Does not: finding it out (supervisor.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from slipway.stack.processes import Memory, Seen

_MIB = 2**20


class ServiceState(Enum):
    """Whether a service serves."""

    READY = "ready"
    STARTING = "starting"
    SICK = "sick"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it is now; `detail` says why it is not ready."""

    name: str
    state: ServiceState
    detail: str
    url: str
    ports: Mapping[str, int]
    pids: tuple[int, ...]
    memory: Memory
    uptime_s: float
    log: Path | None

    @classmethod
    def orphaned(cls, name: str, processes: Sequence[Seen], used: Memory) -> ServiceStatus:
        """Processes of a stack whose files are gone."""
        pids = tuple(each.pid for each in processes)
        detail = "the stack's files are gone; `slipway down` stops it"
        return cls(name, ServiceState.SICK, detail, "", {}, pids, used, 0.0, None)

    def __str__(self) -> str:
        used, resident = (size / _MIB for size in (self.memory.used_bytes, self.memory.resident_bytes))
        text = f"{self.name:<8} {self.state.value:<8} {used:>6.0f} MiB ({resident:.0f} MiB resident)"
        text += f" in {len(self.pids)} processes"
        if self.url:
            text += f"  {self.url}"
        if self.log:
            text += f"  {self.log}"
        return f"{text}  {self.detail}".rstrip()


def summary(statuses: Iterable[ServiceStatus]) -> str:
    """One line for the whole stack; the resident sum counts pages once for each process that shares them."""
    every = list(statuses)
    used = sum((each.memory for each in every), Memory())
    ready = sum(each.state is ServiceState.READY for each in every)
    return (
        f"{ready} of {len(every)} services ready, {used.used_bytes / 2**30:.2f} GiB "
        f"({used.resident_bytes / 2**30:.2f} GiB resident)"
    )
