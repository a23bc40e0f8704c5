"""What the version before wrote is read by this one, and goes on: nothing is billed twice or lost."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from slipway.artifacts.images.record import ImageRecords
from slipway.artifacts.node.cache import NodeCache
from slipway.artifacts.weights.claims import leases
from slipway.artifacts.weights.collection import collect
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.verification import verify
from slipway.catalog import Catalog, Model
from slipway.commands.main import cli
from slipway.control.check import check_catalog
from slipway.control.connections import Connections
from slipway.control.fit import known_weights
from slipway.control.rebuilding import rebuild
from slipway.environment import Environment
from slipway.gateway.admission.auth import KeyFollower
from slipway.gateway.api.errors import ApiError
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.gateway.usage.shipper import Shipper
from slipway.gateway.usage.spool import Spool
from slipway.metering import prices, publish, queries, replicas, rollup
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import ClosedPriceError
from slipway.metering.published import PublishedCopy
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records import replica_samples, revisions, routes
from slipway.records.price_history import UNIT_PRICES, PriceHistory
from slipway.records.revisions import RevisionStore
from slipway.records.route_store import LEGACY_KEY, RouteStore
from slipway.stack import embedded
from slipway.stack.layout import Layout
from slipway.stack.state import read_env, read_state
from slipway.stack.supervisor import with_ports
from slipway.tenants import TenantsDatabase, projects
from testbed import stores

from .conftest import CATALOG

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NEXT = HOUR + timedelta(hours=1)
END = NEXT + timedelta(hours=1)
LATER = END + timedelta(hours=1)  # both hours are over
SPOOL = Path("gateway") / "spool"

Said = dict[str, Any]


@pytest.fixture
def catalog() -> Catalog:
    return check_catalog(CATALOG).catalog


@pytest.fixture
def warehouse(old_home: Path) -> Warehouse:
    return Warehouse(old_home / "warehouse")


def plain(values: Iterable[Any]) -> list[Any]:
    """As the version before wrote them down, which knew no units but tokens."""
    rows: list[Any] = json.loads(json.dumps([asdict(value) for value in values], default=str))
    for row in rows:
        assert not any(row.pop("units", {}).values())
        for unit in UNIT_PRICES:
            assert row.pop(unit.name, None) is None
        for term in ("model", "tiers", "minimum_pico"):
            assert not row.pop(term, None)
    return rows


# What is deployed


@pytest.mark.usefixtures("variables")
def test_a_plan_of_an_unchanged_catalog_has_nothing_to_change_but_to_begin_the_price_history(
    old_store: ObjectStore, warehouse: Warehouse, catalog: Catalog
) -> None:
    reason = "billing/prices differs: there is no price history; the warehouse's prices begin it"
    done = CliRunner().invoke(cli, ["plan"])
    assert done.output == f"update Price billing/prices\n    {reason}\n1 to change\n"
    sync_prices(old_store, warehouse, prices.schedules(catalog), now=LATER)
    done = CliRunner().invoke(cli, ["plan"])
    assert (done.output, done.exit_code) == ("nothing to change\n", 0)


def test_every_revision_is_read_as_it_was_written(old_store: ObjectStore, said: Said) -> None:
    store = RevisionStore(old_store)
    routed = {route["deployment"]: route["revision"] for route in said["routes"]}
    assert set(routed) == {"chat", "assistant"}
    for deployment, digest in routed.items():
        record = store.last_good(deployment)
        assert record is not None
        assert (record.spec_digest, record.state) == (digest, "validated")
        assert all(each["passed"] for each in record.evidence)
        (written,) = old_store.list(f"{revisions.PREFIX}{deployment}/")
        assert json.loads(record.encode()) == json.loads(old_store.get(written.key) or b"")


def test_a_gateway_follows_the_routes_of_the_version_before(
    old_store: ObjectStore, old_home: Path, said: Said
) -> None:
    follower = RouteFollower(old_store, old_home / "elsewhere.json")
    follower.poll()
    assert follower.refused is None
    assert [route.model_dump(mode="json") for route in follower.table.routes] == said["routes"]


def test_a_gateway_that_starts_without_the_store_serves_the_routes_that_it_had(
    old_store: ObjectStore, old_home: Path, said: Said
) -> None:
    gone = ObjectStore(replace(old_store.location, endpoint_url="http://127.0.0.1:9"))
    follower = RouteFollower(gone, old_home / SPOOL / "routes.cached.json")
    assert follower.loaded
    assert [route.model_dump(mode="json") for route in follower.table.routes] == said["routes"]


def test_the_first_change_of_routes_takes_over_those_of_the_version_before(
    old_store: ObjectStore, old_home: Path, said: Said
) -> None:
    before = old_store.get(LEGACY_KEY)
    store, follower = RouteStore(old_store), RouteFollower(old_store, old_home / "elsewhere.json")
    assert [route.model_dump(mode="json") for route in store.latest().table.routes] == said["routes"]
    changed = store.change(
        lambda table: routes.build(each for each in table.routes if each.model != "formal")
    )
    follower.poll()
    assert (changed.number, follower.number) == (1, 1)
    left = [route for route in said["routes"] if route["model"] != "formal"]
    assert [route.model_dump(mode="json") for route in follower.table.routes] == left
    assert old_store.get(LEGACY_KEY) == before  # a gateway of the version before goes on with it


# Tenants


def test_keys_go_on_working_and_a_revoked_one_stays_revoked(old_home: Path, said: Said) -> None:
    database = TenantsDatabase(f"sqlite:///{old_home / 'tenants.db'}")
    database.migrate()
    follower = KeyFollower(database)
    follower.poll()
    for name in ("ana", "bob"):
        key = said["keys"][name]
        record = follower.authenticate([(b"authorization", f"Bearer {key['secret']}".encode())])
        assert (record.id, record.org, record.user) == (key["id"], key["org"], key["user"])
        assert record.project == projects.default(database, key["org"]).id
        assert (record.expires_at, record.deployments, record.tasks) == (None, None, None)
    with pytest.raises(ApiError):
        follower.authenticate([(b"authorization", f"Bearer {said['keys']['gone']['secret']}".encode())])
    assert database.orgs() == ["acme", "globex"]
    database.close()


# Money


def test_the_published_copy_says_what_it_said(old_home: Path, said: Said) -> None:
    copy = PublishedCopy(old_home / "warehouse")
    assert plain(queries.bills(copy, HOUR, END)) == said["bills"]
    assert plain(queries.bill_lines(copy, HOUR, END)) == said["bill_lines"]
    assert plain(queries.prices(copy)) == said["prices"]


def test_the_same_events_rolled_up_again_give_the_same_bills(
    old_store: ObjectStore, warehouse: Warehouse, said: Said
) -> None:
    done = rollup.roll_up(old_store, warehouse, [HOUR, NEXT], run_id="after", now=LATER)
    publish.publish_copy(warehouse)
    assert [hour.final for hour in done] == [True, True]
    assert plain(queries.bill_lines(PublishedCopy(warehouse.directory), HOUR, END)) == said["bill_lines"]


def test_a_warehouse_that_is_lost_is_made_anew_to_the_last_digit(
    old_store: ObjectStore, old_home: Path, warehouse: Warehouse, said: Said
) -> None:
    """A first rollup by this version is enough: from then on prices are not in the file alone."""
    rollup.roll_up(old_store, warehouse, [NEXT], run_id="after", now=LATER)
    shutil.rmtree(warehouse.directory)
    at = Connections(Environment(stores.variables(old_store.location), old_home))
    rebuilt = rebuild(at, lambda _: None)
    assert [summary.hour for summary in rebuilt.usage] == [HOUR, NEXT]
    assert plain(queries.bill_lines(at.metered, HOUR, END)) == said["bill_lines"]
    assert plain(queries.prices(at.metered)) == said["prices"]
    assert _replicas_hourly(warehouse) == said["replicas_hourly"]


def test_the_price_history_begins_once_by_itself_with_what_the_version_before_took(
    old_store: ObjectStore, warehouse: Warehouse, catalog: Catalog, said: Said
) -> None:
    history = PriceHistory(old_store)
    assert history.latest() is None
    rollup.roll_up(old_store, warehouse, [HOUR], run_id="after", now=LATER)
    taken = history.required()
    assert plain(taken.rows) == said["prices"]
    sync_prices(old_store, warehouse, prices.schedules(catalog), now=LATER)
    rollup.roll_up(old_store, Warehouse(warehouse.directory / "another"), [HOUR], run_id="again", now=LATER)
    assert history.required() == taken


def test_an_hour_that_was_open_goes_on_with_what_the_spool_still_held(
    old_store: ObjectStore, old_home: Path, warehouse: Warehouse, catalog: Catalog, said: Said
) -> None:
    assert said["final"] == [True, False]
    spool = Spool(old_home / SPOOL, "gateway-0")
    shipped = Shipper(spool, old_store).ship()
    spool.close()
    assert (shipped.events, spool.events) == (len(said["unshipped"]), 0)
    rollup.roll_up(old_store, warehouse, [HOUR, NEXT], run_id="after", now=LATER)
    publish.publish_copy(warehouse)
    expected = {bill["org"]: Decimal(bill["cost"]) for bill in said["bills"]}
    in_force = next(row for row in prices.schedules(catalog)[0].rows if row.covers(NEXT))
    for event in said["unshipped"]:
        uncached = event["input_tokens"] - event["cached_tokens"]
        pico = (
            uncached * in_force.input_pico
            + event["cached_tokens"] * in_force.cached_pico
            + event["output_tokens"] * in_force.output_pico
        )
        expected[event["org"]] += Decimal(pico).scaleb(-12)
    bills = queries.bills(PublishedCopy(warehouse.directory), HOUR, END)
    assert {bill.org: Decimal(bill.cost or 0) for bill in bills} == expected
    requests = sum(bill["requests"] for bill in said["bills"]) + len(said["unshipped"])
    assert sum(bill.requests for bill in bills) == requests


def test_prices_go_on_and_a_closed_month_stays_closed(
    old_store: ObjectStore, warehouse: Warehouse, catalog: Catalog
) -> None:
    books = prices.schedules(catalog)
    synced = sync_prices(old_store, warehouse, books, now=LATER)
    assert (synced.added, synced.removed) == ((), ())
    dearer = tuple(
        replace(book, rows=tuple(replace(row, input_pico=2 * row.input_pico) for row in book.rows))
        for book in books
    )
    with pytest.raises(ClosedPriceError, match=r"input = 0\.2 in the catalog .*, 0\.1 was in force"):
        sync_prices(old_store, warehouse, dearer, now=datetime(2026, 4, 1, tzinfo=UTC))


def test_samples_of_replicas_roll_up_to_what_they_did(
    old_store: ObjectStore, tmp_path: Path, said: Said
) -> None:
    for stored in old_store.list(replica_samples.PREFIX):
        body = old_store.get(stored.key) or b""
        assert replica_samples.Instant.decode(body).key == stored.key
    anew = Warehouse(tmp_path / "anew")
    (hour,) = replicas.roll_up(old_store, anew, [HOUR])
    assert hour.unreadable == ()
    assert _replicas_hourly(anew) == said["replicas_hourly"]


def _replicas_hourly(warehouse: Warehouse) -> list[dict[str, str]]:
    with warehouse.writing() as connection:
        cursor = connection.execute("FROM replicas_hourly ORDER BY ALL")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, map(str, row), strict=True)) for row in cursor.fetchall()]


# Weights and images


def test_weights_are_published_whole_and_their_leases_still_hold(
    old_store: ObjectStore, catalog: Catalog, said: Said
) -> None:
    manifest = Manifest.read_prefix(old_store, said["cached_weights"])
    assert manifest is not None
    assert verify(manifest, old_store, lambda _: None, "full", seed=0) == []
    now = datetime.now(UTC)
    alive = {lease.prefix for lease in leases(old_store) if lease.is_alive(now)}
    assert said["cached_weights"] in alive
    assert collect(old_store, Catalog(), apply=True, log=lambda _: None).removed == ()
    assert Manifest.read_prefix(old_store, said["cached_weights"]) == manifest


def test_a_node_goes_on_with_the_weights_that_it_verified(
    old_store: ObjectStore, old_home: Path, said: Said
) -> None:
    key = f"{said['cached_weights']}model.gguf"
    published = old_store.get(key)
    old_store.delete(key)  # so that it could not be brought again
    files = NodeCache(old_store, old_home / "node-cache", 2**30).fetch(said["cached_weights"])
    assert (files / "model.gguf").read_bytes() == published


def test_what_a_plan_kept_of_weights_is_still_known_without_a_server(old_home: Path) -> None:
    known = known_weights.offline(Model(name="big", source=f"hf://org/big@{'1' * 40}"), old_home)
    assert known == known_weights.KnownWeights(1234, {"model_type": "tiny"})


def test_a_mirrored_image_exists_for_deployments(old_store: ObjectStore) -> None:
    record = ImageRecords(old_store).latest("vllm", "nvidia", "docker.io/vllm/vllm-openai", "v0.10.0")
    assert record is not None
    assert record.reference == f"registry.test:5000/slipway/vllm/vllm-openai@sha256:{'ab' * 32}"
    (written,) = old_store.list("images/")
    assert record.key == written.key


# The embedded stack


def test_the_stack_keeps_its_ports_and_its_secrets(old_home: Path) -> None:
    layout = Layout.of(old_home)
    old, before = read_state(layout), read_env(layout.env_file)
    plan = embedded.embedded(CATALOG)
    ports = with_ports(old, plan).ports  # a server that is new has one beside them
    assert set(plan.port_names) <= set(ports)
    assert {name: ports[name] for name in old.ports} == old.ports
    assert len(set(ports.values())) == len(ports)
    again = plan.variables(layout, ports, before)
    secrets = {name for name in before if name.endswith(("_KEY", "_TOKEN"))}
    assert len(secrets) == 4
    assert {name: again[name] for name in secrets} == {name: before[name] for name in secrets}
    assert Environment.load({"SLIPWAY_HOME": str(old_home)}).gateway_token == before["SLIPWAY_GATEWAY_TOKEN"]
