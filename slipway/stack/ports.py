"""Free loopback ports.

Belongs here: choosing ports that nothing listens on, and telling who holds one.
Does not: remembering whose they are (state.py).
"""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable
from contextlib import ExitStack

# Between the ports that Ray gives its workers (10002-19999) and the lowest that a kernel gives to outgoing
# connections (32768 on Linux, 49152 on macOS), so that neither takes a port while its service is down.
_LASTING = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return that many distinct free TCP ports on 127.0.0.1, all held open until the last is chosen."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]


def lasting_ports(count: int, taken: Iterable[int] = ()) -> list[int]:
    """Return free ports to be remembered and used again later: none that the system hands out by itself."""
    excluded = set(taken)
    candidates = random.sample(_LASTING, len(_LASTING))
    chosen: list[int] = []
    for port in candidates:
        if len(chosen) == count:
            return chosen
        if port not in excluded and is_free(port):
            chosen.append(port)
    raise OSError(errno.EADDRINUSE, f"no {count} free ports between {_LASTING.start} and {_LASTING.stop}")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port, on loopback or on all addresses."""
    return all(_can_bind(address, port) for address in ("127.0.0.1", ""))


def holder(port: int) -> str | None:
    """Say which process listens on the port, `name (pid 123)`; None when it cannot be seen."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows other processes' sockets to root alone
        return None
    for connection in connections:
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return None


def _can_bind(address: str, port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection of an earlier server that lingers in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
