"""Self-service on PostgreSQL, which goes away and comes back; and a database that is slow."""

import sqlite3
import threading
import time

import openai
import pytest

from slipway.tenants import TenantsDatabase

from ..conftest import RunningGateway, end, prepare, status_of
from .conftest import Administered

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def on_postgres(store, tmp_path, postgres):
    """A gateway of its own whose tenants are in PostgreSQL."""
    gateway: RunningGateway = prepare(store, tmp_path)
    url = postgres.new_database()
    gateway.database = TenantsDatabase(url)
    gateway.database.migrate()
    gateway.secrets.clear()
    gateway.key_ids.clear()
    gateway.environment["SLIPWAY_TENANTS_DB"] = url
    gateway.add_org("acme")
    gateway.start()
    yield gateway
    end(gateway)
    gateway.database.close()


def asks(gateway, secret: str) -> int:
    return gateway.raw("/v1/chat/completions", {"model": "chat", "messages": HI}, secret=secret)[0]


def test_on_postgres_a_key_is_made_and_revoked_and_a_server_that_went_away_is_told_in_words(
    on_postgres, postgres, fake, route, eventually
):
    on_postgres.route(route("chat", fake.url))
    administered = Administered(on_postgres)
    administered.own("acme")
    organization = administered.client().admin.organization
    project = organization.projects.create(name="search")
    accounts = organization.projects.service_accounts
    account = accounts.create(project.id, name="bot")
    assert eventually(lambda: asks(on_postgres, account.api_key.value) == 200) < 1.5
    limits = organization.projects.rate_limits
    (limit,) = limits.list_rate_limits(project.id)
    assert limits.update_rate_limit(limit.id, project_id=project.id, max_requests_per_1_minute=100)

    postgres.kill()
    for call in (
        lambda: accounts.create(project.id, name="other"),
        lambda: organization.projects.list(),
        lambda: organization.users.list(),
    ):
        with pytest.raises(openai.InternalServerError, match="cannot be reached") as away:
            call()
        assert (away.value.status_code, away.value.response.headers["retry-after"]) == (503, "5")
    assert organization.usage.completions(start_time=1_700_000_000).data  # needs no database
    assert asks(on_postgres, account.api_key.value) == 200
    assert "postgresql" not in str(away.value)

    postgres.start()
    assert [each.name for each in accounts.list(project.id)] == ["bot"]
    assert organization.projects.api_keys.delete(account.api_key.id, project_id=project.id).deleted
    eventually(lambda: asks(on_postgres, account.api_key.value) == 401)


def test_a_slow_database_holds_up_changes_and_no_request_to_a_model(administered, organization, fake, route):
    gateway = administered.gateway
    gateway.route(route("chat", fake.url))
    made: list = []
    writer = sqlite3.connect(gateway.home / "tenants.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    changes = [
        threading.Thread(target=lambda: made.append(organization.projects.create(name="waits")))
        for _ in range(6)
    ]
    try:
        for change in changes:
            change.start()
        took = []
        for _ in range(20):
            started = time.monotonic()
            assert asks(gateway, gateway.secrets["acme"]) == 200
            took.append(time.monotonic() - started)
        assert sorted(took)[10] < 0.2
        assert made == []
        assert status_of(gateway.url + "/-/ready") == 200
    finally:
        writer.execute("ROLLBACK")
        writer.close()
        for change in changes:
            change.join(30)
    assert len({project.id for project in made}) == 6
