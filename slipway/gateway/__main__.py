"""`python -m slipway.gateway` runs one gateway replica in the foreground until SIGTERM.

Belongs here: the process: its event loop, its exit status. Does not: the replica (server.py).
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from slipway.environment import Environment, MissingSettingError
from slipway.gateway.server import PortTakenError, Replica
from slipway.gateway.settings import GatewaySettings, SettingError
from slipway.gateway.telemetry import log
from slipway.gateway.usage.spool import SpoolError


def main() -> int:
    """Run until told to stop; 0 after an orderly end, 1 when it cannot start."""
    log.take_over()
    # So long may a background thread (polling, shipping) keep the event loop from the interpreter.
    sys.setswitchinterval(0.0005)
    try:
        replica = Replica(GatewaySettings.load(Environment.load()))
    except (MissingSettingError, SettingError, SpoolError, PortTakenError) as error:
        log.write("error", "gateway cannot start", error=str(error))
        return 1
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(replica.serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
