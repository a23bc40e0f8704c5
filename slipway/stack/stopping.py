"""Stopping services: in which order, how patiently, and making sure.

Belongs here: the order and grace of the known services. Does not: finding processes (processes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from slipway.stack import ports, processes
from slipway.stack.errors import StackError
from slipway.stack.layout import Layout
from slipway.stack.processes import Seen
from slipway.stack.state import StackState

# Seconds from SIGTERM to SIGKILL, in the order of stopping: who uses another is stopped before it. The
# gateway lets requests end and ships its usage events first.
_GRACE_S = {"gateway": 60.0, "dagster": 30.0, "ray": 10.0, "hub": 5.0, "s3": 20.0}
_DEFAULT_GRACE_S = 10.0
# For what a killed main process left behind: nobody is there to end it in order.
ORPHANS_GRACE_S = 1.0


def stop_order(services: Iterable[str]) -> list[str]:
    """Order names for stopping; unknown ones first, because nothing known depends on them."""
    rank = {name: index for index, name in enumerate(_GRACE_S)}
    return sorted(services, key=lambda name: (rank.get(name, -1), name))


def stop_service(layout: Layout, state: StackState, service: str, grace_s: float | None = None) -> None:
    """End all processes of one service, after a grace in seconds (None: the service's own).

    Raises StackError naming the process that cannot be ended.
    """

    def find() -> list[Seen]:
        return processes.owned(processes.look(layout.home), state.leaders).get(service, [])

    if not processes.stop(find, _GRACE_S.get(service, _DEFAULT_GRACE_S) if grace_s is None else grace_s):
        left = ", ".join(f"{process.pid} ({process.command[:80]})" for process in find())
        raise StackError(f"{service}: cannot end process {left}. End it, then run `slipway down` again.")


def stop_all(layout: Layout, state: StackState, progress: Callable[[str], None]) -> bool:
    """End whatever of the stack is found, in order; whether there was anything."""
    stopped: set[str] = set()
    while running := processes.owned(processes.look(layout.home), state.leaders):
        service = stop_order(running)[0]
        if service not in stopped:
            progress(f"{service}: stopping")
        stopped.add(service)
        stop_service(layout, state, service)
    return bool(stopped)


def strangers(state: StackState) -> list[str]:
    """Ports of the stack that somebody listens on although none of its processes is left."""
    return [
        f"port {port} ({name}) is held by {ports.holder(port) or 'another program'}, which is not the stack's"
        for name, port in state.ports.items()
        if not ports.is_free(port)
    ]
