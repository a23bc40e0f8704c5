"""Two gateways follow one PostgreSQL that is killed and comes back while keys are used, made and revoked."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.objectstore import ObjectStore
from slipway.tenants import TenantsDatabase, TenantsDatabaseError, keys
from testbed.postgres import PostgresServer

from .conftest import RunningGateway, end, prepare

# What is promised, and some for a machine that is busy with other tests: what bounds it is auth.POLL_S.
WORKS_WITHIN_S, STOPS_WITHIN_S = 3.0, 4.0


@pytest.fixture
def both(store: ObjectStore, postgres: PostgresServer, tmp_path: Path) -> Iterator[list[RunningGateway]]:
    """Two gateways of one database with one org, `acme`, and its user ann."""
    url = postgres.new_database()
    database = TenantsDatabase(url)
    database.migrate()
    database.sync_orgs(["acme"])
    database.add_user("acme", "ann")
    gateways = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        gateway = prepare(store, tmp_path / name)
        gateway.database = database
        gateway.environment |= {"SLIPWAY_TENANTS_DB": url, "SLIPWAY_GATEWAY_REPLICA": name}
        gateways.append(gateway)
    for gateway in gateways:
        gateway.start()
    yield gateways
    for gateway in gateways:
        end(gateway)
    database.close()


def test_keys_go_on_through_a_database_that_is_killed_and_are_made_and_revoked_when_it_is_back(
    both: list[RunningGateway], postgres: PostgresServer, eventually: Callable[..., float]
) -> None:
    database = both[0].database

    def answers(secret: str) -> list[int]:
        return [gateway.raw("/v1/models", secret=secret)[0] for gateway in both]

    def readiness(gateway: RunningGateway) -> tuple[int, bool]:
        status, _, body = gateway.raw("/-/ready")
        return status, any("reading API keys" in line for line in json.loads(body)["served_from_memory"])

    def made_works(**restrictions: datetime) -> keys.NewKey:
        made = keys.create(database, "acme", "ann", "x", **restrictions)
        began = time.monotonic()
        eventually(lambda: answers(made.secret) == [200, 200])
        assert time.monotonic() - began < WORKS_WITHIN_S
        return made

    kept, doomed = made_works(), made_works()
    short = made_works(expires_at=datetime.now(UTC) + timedelta(seconds=3))
    postgres.kill()
    try:
        with pytest.raises(TenantsDatabaseError):
            database.create_key("acme", "ann", "x")
        with pytest.raises(TenantsDatabaseError):
            database.revoke_key(doomed.id)
        eventually(lambda: [readiness(gateway) for gateway in both] == [(200, True)] * 2)
        eventually(lambda: answers(short.secret) == [401, 401])  # it expires without the database
        assert answers(kept.secret) == answers(doomed.secret) == [200, 200]
        assert answers("sk-slipway-unknown") == [401, 401]
    finally:
        postgres.start()
    made_works()
    database.revoke_key(doomed.id)
    began = time.monotonic()
    eventually(lambda: answers(doomed.secret) == [401, 401])
    assert time.monotonic() - began < STOPS_WITHIN_S
    assert answers(kept.secret) == [200, 200]
    eventually(lambda: [readiness(gateway) for gateway in both] == [(200, False)] * 2)
