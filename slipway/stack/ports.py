"""Free loopback ports.

Belongs here: choosing ports that nothing listens on. Does not: remembering whose they are (the supervisor).
"""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Return that many distinct free TCP ports on 127.0.0.1, all held open until the last is chosen."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
