"""`python -m slipway.gateway` runs one gateway replica in the foreground until SIGTERM.

Belongs here: the process: its event loop, its exit status. Does not: the replica (server.py).
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys

import uvloop

from slipway.environment import Environment, MissingSettingError
from slipway.gateway.server import PortTakenError, Replica
from slipway.gateway.settings import GatewaySettings, SettingError
from slipway.gateway.telemetry import log
from slipway.gateway.usage.spool import SpoolError

_USAGE_LEFT = 3
# Beyond those that are gone by then: some megabytes at most.
_OBJECTS_BETWEEN_COLLECTIONS = 20_000


def main() -> int:
    """Run until told to stop; 0 after an orderly end, 1 when it cannot start, 3 when usage stays spooled."""
    log.take_over()
    # So long may a background thread (polling, shipping) keep the event loop from the interpreter.
    sys.setswitchinterval(0.0005)
    try:
        settings = GatewaySettings.load(Environment.load())
        log.hide(settings.secrets)
        replica = Replica(settings)
    except (MissingSettingError, SettingError, SpoolError, PortTakenError) as error:
        log.write("error", "gateway cannot start", error=str(error))
        return 1
    _rarely_collect()
    left = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(replica.serve())
    # Not by the interpreter's own end, nor the runner's: they wait for threads, and one may ask a name server
    # that does not answer.
    log.flush()
    os._exit(_USAGE_LEFT if left else 0)


def _rarely_collect() -> None:
    """Look for cycles seldom, and never among what is here for good.

    What a request leaves behind goes with its last reference; a look for cycles after every 700 objects, most
    of them of requests under way, was a twentieth of the CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 5, 5)


if __name__ == "__main__":
    sys.exit(main())
