"""One `up`: bring every service to ready, side by side, or leave things as they were.

Belongs here: the loop around the decisions, launching, and undoing a start that failed.
Does not: what the services are (embedded.py), what to do about each (decisions.py).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from slipway.stack import ports
from slipway.stack.decisions import Action, decide, disk_refusal, main_process, missing_parts, port_refusal
from slipway.stack.embedded import base_environment
from slipway.stack.errors import StackError
from slipway.stack.health import Trouble
from slipway.stack.layout import Layout
from slipway.stack.logs import last_lines, open_log
from slipway.stack.processes import Seen, look, owned, spawn
from slipway.stack.service import Service
from slipway.stack.state import Leader, StackState, write_state
from slipway.stack.stopping import ORPHANS_GRACE_S, stop_order, stop_service

_POLL_S = 0.25


@dataclass(frozen=True)
class _Launch:
    """A start made by this `up`."""

    leader: Leader
    at: float
    log_offset: int
    fresh: bool
    """Whether the service was not running before."""


@dataclass
class Ascent:
    """The state of one `up`."""

    layout: Layout
    state: StackState
    services: Sequence[Service]
    variables: dict[str, str]
    needed_bytes: int
    progress: Callable[[str], None]
    launched: dict[str, _Launch] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    told: set[tuple[str, str]] = field(default_factory=set)
    begun_at: float = field(default_factory=time.monotonic)

    def run(self) -> StackState:
        """Return when all services are ready. Raises StackError; then a stack that did not run does not."""
        write_state(self.layout, self.state)
        try:
            with ThreadPoolExecutor(max_workers=len(self.services)) as pool:
                while self._round(pool):
                    time.sleep(_POLL_S)
        except Exception:
            self._undo()
            raise
        return self.state

    def refuse_early(self) -> None:
        """Refuse what can be known to fail, before anything is touched: raises StackError."""
        seen = owned(look(self.layout.home), self.state.leaders)
        absent = [service for service in self.services if service.name not in seen]
        for service in absent:
            self._refuse_taken_ports(service)
        if absent:
            place = _existing(self.layout.home)
            free = shutil.disk_usage(place).free
            if refusal := disk_refusal(str(place), free, self.needed_bytes):
                raise StackError(refusal)

    def _refuse_taken_ports(self, service: Service) -> None:
        for name, port in service.ports.items():
            if not ports.is_free(port):
                holder = ports.holder(port)
                raise StackError(port_refusal(service.name, name, port, holder, str(self.layout.state_file)))

    def _round(self, pool: ThreadPoolExecutor) -> bool:
        """Advance each service by a step; whether any is not ready yet."""
        pending = [service for service in self.services if service.name not in self.ready]
        due = [service for service in pending if service.after <= self.ready]
        seen = owned(look(self.layout.home), self.state.leaders)
        troubles = list(pool.map(lambda service: self._trouble(service, seen.get(service.name, [])), due))
        # Those with nothing to stop first: stopping takes time, in which they can start.
        steps = sorted(zip(due, troubles, strict=True), key=lambda step: step[0].name in seen)
        for service, trouble in steps:
            self._advance(service, seen.get(service.name, []), trouble)
        return len(self.ready) < len(self.services)

    def _trouble(self, service: Service, processes: Sequence[Seen]) -> Trouble | None:
        main = main_process(processes, self.state.leaders.get(service.name))
        return None if main is None else service.trouble(main.created_at)

    def _advance(self, service: Service, processes: list[Seen], trouble: Trouble | None) -> None:
        if service.name in self.launched:
            self._follow(service, processes, trouble)
            return
        leader = self.state.leaders.get(service.name)
        main = main_process(processes, leader)
        decision = decide(
            service,
            processes,
            leader,
            trouble.text if trouble else None,
            age_s=time.time() - main.created_at if main else 0.0,
            waited_s=time.monotonic() - self.begun_at,
        )
        if decision.action is Action.KEEP and main is not None:
            self._settle(service, Leader(main.pid, main.created_at))
            return
        self._tell(service, decision.action, decision.reason)
        if decision.action is Action.RESTART:
            grace_s = ORPHANS_GRACE_S if main is None else None
            stop_service(self.layout, self.state, service.name, grace_s)
        if decision.action in (Action.START, Action.RESTART):
            self._launch(service, fresh=decision.action is Action.START)

    def _follow(self, service: Service, processes: list[Seen], trouble: Trouble | None) -> None:
        """See to a service that this `up` has started."""
        launch = self.launched[service.name]
        if not any(process.is_leader(launch.leader) for process in processes):
            raise self._failure(service, "ended while starting")
        if trouble is not None and trouble.final:
            raise self._failure(service, trouble.text)
        missing = missing_parts(service, processes)
        if trouble is None and not missing:
            self._settle(service, launch.leader)
        elif time.monotonic() - launch.at > service.start_deadline_s:
            text = trouble.text if trouble else f"its {' and '.join(missing)} is not there"
            raise self._failure(service, f"not ready after {service.start_deadline_s:.0f} s: {text}")

    def _settle(self, service: Service, leader: Leader) -> None:
        recorded = self.state.leaders.get(service.name)
        if recorded is None or recorded.pid != leader.pid or not recorded.ready:
            service.finish(leader.created_at)
            ready = Leader(leader.pid, leader.created_at, ready=True)
            self.state = self.state.with_leader(service.name, ready)
            write_state(self.layout, self.state)
        self.ready.add(service.name)
        if service.name in self.launched:
            self.progress(f"{service.name}: ready after {time.monotonic() - self.begun_at:.1f} s")

    def _launch(self, service: Service, *, fresh: bool) -> None:
        self._refuse_taken_ports(service)
        service.prepare()
        log = self.layout.log(service.name)
        with open_log(log) as output:
            offset = output.tell()
            leader = self._spawn(service, output.fileno())
        self.launched[service.name] = _Launch(leader, time.monotonic(), offset, fresh)
        self.state = self.state.with_leader(service.name, leader)
        write_state(self.layout, self.state)

    def _spawn(self, service: Service, output: int) -> Leader:
        environment = {
            **base_environment(os.environ, self.variables),
            **service.environment,
            **service.markers(self.layout.home),
        }
        try:
            process = spawn(service.command, service.directory, environment, output)
        except OSError as error:
            raise StackError(f"{service.name}: cannot start {service.command[0]}: {error}") from error
        return Leader(process.pid, process.create_time())

    def _failure(self, service: Service, cause: str) -> StackError:
        self.failed.add(service.name)
        log = self.layout.log(service.name)
        lines = last_lines(log, self.launched[service.name].log_offset)
        shown = f"\nThe last lines of {log}:\n{lines}" if lines else f" Its log {log} is empty."
        return StackError(f"{service.name}: {cause}.{shown}")

    def _undo(self) -> None:
        """Stop what this `up` has started and what did not get ready.

        Where others ran before, it is a repair: what can be repaired goes on, though another part cannot.
        """
        if self.ready - self.launched.keys():
            undone = [name for name in self.launched if name in self.failed]
        else:
            undone = [n for n, launch in self.launched.items() if launch.fresh or n not in self.ready]
        for name in stop_order(undone):
            self.progress(f"{name}: stopping again")
            stop_service(self.layout, self.state, name)

    def _tell(self, service: Service, action: Action, reason: str) -> None:
        word = {Action.START: "starting", Action.RESTART: "starting again", Action.WAIT: "waiting"}[action]
        told = (service.name, word)
        if told not in self.told:
            self.told.add(told)
            self.progress(f"{service.name}: {word} ({reason})")


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
