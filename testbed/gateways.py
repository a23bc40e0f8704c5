"""Slipway's gateway as a process: how it is started, and what it is told.

Belongs here: its command and environment. Does not: what routes, tenants and keys there are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from slipway.environment import S3Location
from testbed import stores

COMMAND = (sys.executable, "-m", "slipway.gateway")


def variables(
    home: Path, location: S3Location, token: str, port: int, metrics_port: int | None = None
) -> dict[str, str]:
    """The environment of a gateway with its database and spool in `home`."""
    return {
        "SLIPWAY_HOME": str(home),
        **stores.variables(location),
        "SLIPWAY_GATEWAY_TOKEN": token,
        "SLIPWAY_GATEWAY_PORT": str(port),
        **({} if metrics_port is None else {"SLIPWAY_GATEWAY_METRICS_PORT": str(metrics_port)}),
    }
