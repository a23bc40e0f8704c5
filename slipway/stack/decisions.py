"""What to do about each service, given what is seen of it.

Belongs here: the pure decision and its reason, the one that a person reads.
Does not: looking (processes.py, health.py) or acting (supervisor.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from slipway.stack.processes import Seen
from slipway.stack.service import Service
from slipway.stack.state import Leader


class Action(Enum):
    """What `up` does with a service now."""

    KEEP = "keep"
    WAIT = "wait"
    START = "start"
    RESTART = "restart"


@dataclass(frozen=True)
class Decision:
    """An action and why."""

    action: Action
    reason: str


def decide(
    service: Service,
    processes: Sequence[Seen],
    leader: Leader | None,
    trouble: str | None,
    *,
    age_s: float,
    waited_s: float,
) -> Decision:
    """Decide about one service.

    `processes` are all of its live ones, `leader` the recorded main one, `trouble` the word of its health
    check. `age_s` is the main process's age; a service that never was ready may use its whole start deadline.
    `waited_s` is how long this `up` has been waiting for it.
    """
    if not processes:
        return Decision(Action.START, "not running")
    main = main_process(processes, leader)
    if main is None:
        return Decision(Action.RESTART, f"its main process is gone, {len(processes)} others are left")
    if main.settings is not None and main.settings != service.settings_digest:
        return Decision(Action.RESTART, "it was started with other settings")
    was_ready = main.is_leader(leader) and leader is not None and leader.ready
    starting = not was_ready and age_s < service.start_deadline_s
    missing = missing_parts(service, processes)
    if lost := [part.name for part in service.parts if part.name in missing and not part.heals]:
        if not starting:
            return Decision(Action.RESTART, f"its {' and '.join(lost)} is gone")
        return Decision(Action.WAIT, f"its {' and '.join(lost)} is not there yet")
    problem = f"its {' and '.join(missing)} is not there" if missing else trouble
    if problem is None:
        return Decision(Action.KEEP, "ready")
    if starting or waited_s < service.patience_s:
        return Decision(Action.WAIT, problem)
    return Decision(Action.RESTART, problem)


def main_process(processes: Sequence[Seen], leader: Leader | None) -> Seen | None:
    """The main process of a service: the recorded one, or without a record the leader of their session."""
    for process in processes:
        if process.is_leader(leader):
            return process
    leads = [each for each in processes if each.service is not None and each.pid == each.session]
    return min(leads, key=lambda lead: lead.created_at, default=None)


def missing_parts(service: Service, processes: Sequence[Seen]) -> list[str]:
    """Names of the parts that no process shows."""
    return [
        part.name
        for part in service.parts
        if not any(part.pattern.search(process.command) for process in processes)
    ]


def disk_refusal(directory: str, free_bytes: int, needed_bytes: int) -> str | None:
    """Say that there is too little room, or None."""
    if free_bytes >= needed_bytes:
        return None
    return (
        f"no disk space: {directory} has {free_bytes / 2**30:.2f} GiB free, and the stack needs "
        f"{needed_bytes / 2**30:.2f} GiB there to start. Free some, or put it elsewhere with SLIPWAY_HOME."
    )


def port_refusal(service: str, name: str, port: int, holder: str | None, state_file: str) -> str:
    """Say that a remembered port has been taken by somebody else."""
    return (
        f"{service}: port {port} ({name}) is taken by {holder or 'another program'}. Stop that program; or "
        f"run `slipway down` and remove {state_file}, then the next `slipway up` chooses other ports."
    )
