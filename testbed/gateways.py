"""Slipway's gateway as a process: how it is started, and what it is told.

Belongs here: its command and environment. Does not: what routes, tenants and keys there are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import insert, select

from slipway.environment import S3Location
from slipway.tenants import TenantsDatabase
from slipway.tenants.models import ApiKey
from slipway.tenants.secret import digest
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


def with_keys(database: TenantsDatabase, count: int) -> str:
    """A tenant with so many keys in a database; the secret of one. The others are its copies."""
    database.sync_orgs(["bench"])
    database.add_user("bench", "bench")
    secret = database.create_key("bench", "bench", "bench").secret
    with database.changing() as change:
        row = change.connection.execute(select(ApiKey.__table__)).mappings().one()
        copies = [
            {**row, "id": f"key_copy{number:06d}", "sha256": digest(f"copy {number}")}
            for number in range(1, count)
        ]
        if copies:
            change.connection.execute(insert(ApiKey), copies)
        change.made()
    return secret
