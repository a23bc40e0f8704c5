"""`up`, `down` and `status` of one embedded stack.

Belongs here: the three commands and the lock between them.
Does not: how they are done (starting.py, stopping.py), what the stack consists of (embedded.py).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from slipway.stack import embedded, ray_directory
from slipway.stack.blueprint import Blueprint
from slipway.stack.decisions import main_process, missing_parts
from slipway.stack.errors import StackError
from slipway.stack.layout import Layout
from slipway.stack.ports import lasting_ports
from slipway.stack.processes import Seen, look, memory, owned
from slipway.stack.service import Service
from slipway.stack.starting import Ascent
from slipway.stack.state import StackState, read_env, read_state, write_env, write_state
from slipway.stack.status import ServiceState, ServiceStatus
from slipway.stack.stopping import stop_all, strangers

_LOCK_PATIENCE_S = 900.0
_POLL_S = 0.5


def up(
    home: Path,
    *,
    catalog: Path,
    progress: Callable[[str], None],
    blueprint: Blueprint | None = None,
) -> StackState:
    """Start what does not serve and return when everything does; a running stack is left alone.

    Ports and secrets are made at the first `up` of a home and kept. Raises StackError; then a stack that did
    not run does not, and of one that did, what was repaired goes on. Interrupted, it leaves what it has
    started for the next `up` or `down`.
    """
    layout = Layout.of(home)
    plan = blueprint or embedded.embedded(catalog)
    try:
        layout.home.mkdir(parents=True, exist_ok=True)
        with _alone(layout, progress):
            state = with_ports(read_state(layout), plan)
            variables = plan.variables(layout, state.ports, read_env(layout.env_file))
            services = plan.services(layout, state.ports, variables)
            ascent = Ascent(layout, state, services, variables, plan.needed_bytes, progress)
            ascent.refuse_early()
            write_env(layout.env_file, variables)
            return ascent.run()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise StackError(f"{error.filename or layout.home}: {error.strerror}.") from error
        raise


def down(home: Path, progress: Callable[[str], None]) -> None:
    """Stop everything of the stack that is found, whatever is remembered; harmless when nothing runs.

    Raises StackError when a process cannot be ended.
    """
    layout = Layout.of(home)
    if layout.home.exists():
        with _alone(layout, progress):
            _down(layout, progress)
    else:  # removed under a running stack, perhaps: its processes are known by their marks
        _down(layout, progress)


def status(home: Path, *, blueprint: Blueprint | None = None) -> list[ServiceStatus]:
    """Say of each service whether it serves, where, and with how much memory. Changes nothing."""
    layout = Layout.of(home)
    state, variables = read_state(layout), read_env(layout.env_file)
    if not variables or not state.ports:
        by_service = owned(look(layout.home), state.leaders)
        return [ServiceStatus.orphaned(name, seen, memory(seen)) for name, seen in by_service.items()]
    plan = blueprint or embedded.embedded(Path(variables.get("SLIPWAY_CATALOG", "catalog")))
    by_service = owned(look(layout.home), state.leaders)
    services = plan.services(layout, state.ports, plan.variables(layout, state.ports, variables))
    return [_status(service, state, layout, by_service.get(service.name, [])) for service in services]


def wait_ready(home: Path, *, deadline_s: float, blueprint: Blueprint | None = None) -> StackState:
    """Return when every service of a stack that somebody starts is ready; the state says where the UI is.

    Raises StackError naming what is not ready at the deadline.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        statuses = status(home, blueprint=blueprint)
        late = [service for service in statuses if service.state is not ServiceState.READY]
        if statuses and not late:
            return read_state(Layout.of(home))
        if time.monotonic() > deadline:
            what = (
                "; ".join(f"{service.name} {service.state.value}: {service.detail}" for service in late)
                or "nothing runs"
            )
            raise StackError(f"not ready after {deadline_s:.0f} s: {what}. Run `slipway up`.")
        time.sleep(_POLL_S)


def with_ports(state: StackState, plan: Blueprint) -> StackState:
    """Choose the ports that are not remembered yet."""
    new = [name for name in plan.port_names if name not in state.ports]
    chosen = dict(zip(new, lasting_ports(len(new), state.ports.values()), strict=True))
    return StackState(state.home, {**state.ports, **chosen}, state.leaders)


def _down(layout: Layout, progress: Callable[[str], None]) -> None:
    state = read_state(layout)
    if stop_all(layout, state, progress):
        progress("stopped: no process is left")
    else:
        progress("nothing runs")
    for line in strangers(state):
        progress(line)
    ray_directory.remove(layout)
    if layout.state_file.exists():
        write_state(layout, StackState(layout.home, state.ports))


def _status(service: Service, state: StackState, layout: Layout, processes: list[Seen]) -> ServiceStatus:
    leader = state.leaders.get(service.name)
    main = main_process(processes, leader)
    trouble = service.trouble(main.created_at) if main else None
    missing = missing_parts(service, processes) if main else []
    if not processes:
        verdict, detail = ServiceState.STOPPED, "not running"
    elif main is None:
        verdict, detail = ServiceState.SICK, "its main process is gone"
    elif missing or trouble:
        ready_before = leader is not None and leader.ready
        verdict = ServiceState.SICK if ready_before else ServiceState.STARTING
        detail = f"its {' and '.join(missing)} is not there" if missing else trouble.text if trouble else ""
    else:
        verdict, detail = ServiceState.READY, ""
    return ServiceStatus(
        name=service.name,
        state=verdict,
        detail=detail,
        url=service.url,
        ports=dict(service.ports),
        pids=tuple(each.pid for each in processes),
        memory=memory(processes),
        uptime_s=time.time() - main.created_at if main else 0.0,
        log=layout.log(service.name),
    )


@contextmanager
def _alone(layout: Layout, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock between `up` and `down` of one home; the system frees it when its holder dies."""
    lock = FileLock(layout.lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(f"another `slipway up` or `slipway down` works on {layout.home}; waiting for it")
        try:
            lock.acquire(timeout=_LOCK_PATIENCE_S)
        except Timeout:
            raise StackError(f"{layout.lock_file} is held for too long. End the other `slipway`.") from None
    try:
        yield
    finally:
        lock.release()
