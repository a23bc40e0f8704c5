"""What is there, read from real stores: the tenants' database, the published prices, the routes."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.catalog import Catalog
from slipway.control import observing, tenancy
from slipway.control.connections import Connections
from slipway.control.differences import Prices, Untold
from slipway.control.plans import deployed_changes
from slipway.dataplane.protocol import LiveApplication
from slipway.environment import Environment
from slipway.metering import price_table, prices, publish
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.price_history import key_of
from testbed import stores

NOW = datetime.now(UTC)
PRICE = {"effective_from": "2026-01-01T00:00:00Z", "input": "1", "cached_input": "1", "output": "2"}
CATALOG = Catalog.model_validate(
    {
        "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}],
        "engines": [{"name": "e", "server": "llama.cpp"}],
        "deployments": [{"name": "chat", "model": "m", "engine": "e", "runtime": "ray", "price": "p"}],
        "organizations": [{"name": "acme"}],
        "price_books": [{"name": "p", "currency": "EUR", "prices": [PRICE]}],
    }
)


@pytest.fixture
def at(store: ObjectStore, tmp_path: Path) -> Connections:
    return Connections(Environment(stores.variables(store.location), tmp_path / "home"))


def sync(at: Connections) -> None:
    """What the assets of organisations and prices do."""
    tenancy.sync_orgs(at, ["acme"])
    warehouse = Warehouse(at.environment.warehouse_dir)
    price_table.sync_prices(at.store, warehouse, prices.schedules(CATALOG), now=NOW)
    publish.publish_copy(warehouse)


def test_before_the_first_sync_nothing_is_known_and_looking_makes_nothing(at: Connections) -> None:
    assert (observing.orgs(at), observing.serving(at)) == (None, None)
    assert observing.prices(at) == Prices(None, None)
    assert not at.environment.home.exists()


def test_a_database_without_tables_was_never_set_up(at: Connections) -> None:
    at.environment.home.mkdir()
    (at.environment.home / "tenants.db").touch()
    assert observing.orgs(at) is None


def test_organisations_and_prices_are_those_of_the_stores_that_hold_them(at: Connections) -> None:
    sync(at)
    assert observing.orgs(at) == frozenset({"acme"})
    wanted = prices.merge([], prices.schedules(CATALOG), NOW)
    assert observing.prices(at) == Prices(wanted, wanted)


def test_a_store_that_cannot_be_read_is_told_by_its_message(at: Connections) -> None:
    sync(at)
    (at.environment.home / "tenants.db").write_bytes(b"no database" * 100)
    at.metered.path.write_bytes(b"no warehouse" * 100)
    orgs, rows = observing.orgs(at), observing.prices(at)
    assert isinstance(orgs, Untold)
    assert "is no SQLite database. Restore a backup" in str(orgs.error)
    assert isinstance(rows, Untold)
    assert "cannot be read" in str(rows.error)
    assert not rows.lasting


def test_what_is_there_of_prices_is_looked_up_where_it_lies(at: Connections) -> None:
    """An emptied table, a lost copy and a lost history all differ from what was taken."""
    sync(at)
    wanted = prices.merge([], prices.schedules(CATALOG), NOW)
    warehouse = Warehouse(at.environment.warehouse_dir)
    with warehouse.writing() as connection:
        connection.execute("DELETE FROM price")
    publish.publish_copy(warehouse)
    assert observing.prices(at) == Prices(wanted, ())
    shutil.rmtree(warehouse.directory)
    assert observing.prices(at) == Prices(wanted, None)
    at.store.put(key_of(1), b"spoilt")
    damaged = observing.prices(at)
    assert isinstance(damaged, Untold)
    assert damaged.lasting
    assert "restore it from a backup" in str(damaged.error)


def test_a_plan_shows_what_was_never_synced_and_nothing_of_it_afterwards(at: Connections) -> None:
    def planned() -> list[tuple[str, str, str]]:
        changes = deployed_changes(CATALOG, at.environment)
        # A first price is in force from the moment that it is taken, and not from when its book says.
        return [(each.action, each.kind, re.sub(r"@2.*", "@...", each.name)) for each in changes]

    deployment = ("create", "Deployment", "chat")
    assert planned() == [
        deployment,
        ("create", "Organization", "acme"),
        ("create", "Price", "chat p@..."),
    ]
    assert not at.environment.home.exists()  # a plan changes nothing
    sync(at)
    assert planned() == [deployment]


class RestartedPlanes:
    """Stands for Ray after a restart: Serve tells of what ran before it, and no replica answers."""

    RAN = LiveApplication("chat-1", "chat", "1" * 64, "http://ray/chat-1/v1", "RUNNING", "", 1, 1, True)

    def status(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        assert deployment is None
        return (self.RAN,)

    def confirmed(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        return tuple(replace(each, is_serving=False) for each in self.status(deployment))


def test_a_plan_asks_replicas_so_that_what_ray_lost_in_a_restart_is_no_agreement(at: Connections) -> None:
    sync(at)
    at.__dict__["planes"] = RestartedPlanes()
    assert observing.serving(at) == {"chat": frozenset({"1" * 64})}
    assert observing.serving(at, confirmed=True) == {}
    live = observing.live(at, CATALOG, lambda _deployment: frozenset(), confirmed=True)
    assert live.serving == {}
