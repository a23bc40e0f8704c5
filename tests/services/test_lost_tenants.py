"""A tenants' database that was lost is noticed, not made again, and said by everything that looks at it."""

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from slipway.catalog import Catalog
from slipway.commands.main import cli
from slipway.control import observing, tenancy
from slipway.control.connections import Connections
from slipway.control.differences import Lost, Untold
from slipway.control.plans import deployed_changes
from slipway.control.tenancy import TenantsLostError
from slipway.environment import Environment
from slipway.gateway.admission.auth import KeyFollower
from slipway.objectstore import ObjectStore
from slipway.records import tenants_mark
from slipway.records.tenants_mark import TenantsMark
from slipway.tenants import TenantsDatabase, TenantsDatabaseError, UnknownTenantError
from testbed import stores

ORGS = frozenset({"acme", "globex"})
CATALOG = Catalog.model_validate({"organizations": [{"name": name} for name in sorted(ORGS)]})

Spoil = Callable[[Path], object]


@pytest.fixture
def at(store: ObjectStore, tmp_path: Path) -> Connections:
    """Two organisations, a user, two keys; looked at."""
    at = Connections(Environment(stores.variables(store.location), tmp_path / "home"))
    tenancy.sync_orgs(at, ORGS)
    at.tenants.add_user("acme", "ann")
    for label in ("laptop", "phone"):
        at.tenants.create_key("acme", "ann", label)
    assert observing.orgs(at, tenancy.note) == ORGS
    return at


def database_of(at: Connections) -> Path:
    return at.environment.home / "tenants.db"


def slipway(at: Connections, *arguments: str) -> Result:
    variables = {**at.environment.variables, "SLIPWAY_HOME": str(at.environment.home)}
    return CliRunner().invoke(cli, list(arguments), env=variables)


def executed(*statements: str) -> Spoil:
    def spoil(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return spoil


def made_anew(path: Path) -> None:
    """As the version before did by itself: the tables, and the catalog's organisations."""
    path.unlink()
    database = TenantsDatabase(f"sqlite:///{path}")
    database.migrate()
    database.sync_orgs(ORGS)
    database.close()


def emptied(path: Path) -> None:
    path.unlink()
    database = TenantsDatabase(f"sqlite:///{path}")
    database.migrate()
    database.close()


SPOILT: dict[str, tuple[Spoil, str]] = {
    "its file removed": (Path.unlink, "has no organisations any more"),
    "an empty file": (lambda path: path.write_bytes(b""), "has no organisations any more"),
    "its tables emptied": (
        executed('DELETE FROM api_key', 'DELETE FROM "user"', "DELETE FROM organization"),
        "has no organisations any more",
    ),
    "its tables dropped": (executed("DROP TABLE organization"), "has no organisations any more"),
    "made anew, without a row": (emptied, "has no organisations any more"),
    "made anew, with organisations": (made_anew, "was made anew at "),
    "its keys removed": (executed("DELETE FROM api_key"), "is an older one, with 1 users and 0 keys"),
    "changes taken back": (
        executed("UPDATE change_counter SET value = value - 1"), "is an older one, with 1 users and 2 keys"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), SPOILT.values(), ids=SPOILT.keys())
def test_a_loss_is_said_by_the_sensor_and_a_plan_and_nothing_is_made_in_its_place(
    at: Connections, spoil: Spoil, said: str
) -> None:
    spoil(database_of(at))
    was_there = database_of(at).exists()
    before = observing.orgs(at, tenancy.note)
    assert isinstance(before, Lost)
    assert said in before.reason
    assert "it had 1 users and 2 keys. Restore it from a backup" in before.reason
    [change] = [each for each in deployed_changes(CATALOG, at.environment) if each.kind != "Price"]
    assert (change.action, change.kind, change.detail) == ("refused", "Organization", (before.reason,))
    with pytest.raises(TenantsLostError, match="slipway tenants accept"):
        tenancy.sync_orgs(at, ORGS)
    assert database_of(at).exists() == was_there
    assert observing.orgs(at, tenancy.note) == before  # looking again does not make it right


@pytest.mark.parametrize("how", ["its file removed", "its tables emptied", "made anew, without a row"])
def test_making_a_key_says_the_loss_and_a_command_that_there_is(at: Connections, how: str) -> None:
    SPOILT[how][0](database_of(at))
    was_there = database_of(at).exists()
    done = slipway(at, "key", "create", "acme", "bob")
    assert isinstance(done.exception, TenantsLostError)
    assert "it had 1 users and 2 keys" in str(done.exception)
    assert database_of(at).exists() == was_there
    assert slipway(at, "tenants", "accept", "--help").exit_code == 0


def test_an_organisation_that_was_never_brought_is_no_loss(at: Connections) -> None:
    done = slipway(at, "key", "create", "nobody", "bob")
    assert (done.exit_code, "nobody: no organisation of the catalog" in done.output) == (1, True)
    with pytest.raises(UnknownTenantError, match="`slipway plan` shows what is missing"):
        at.tenants.add_user("nobody", "bob")


def test_what_goes_on_is_noted_and_is_no_loss(at: Connections, store: ObjectStore) -> None:
    tenancy.sync_orgs(at, {"acme"})  # one left the catalog
    at.tenants.revoke_key(at.tenants.keys()[0].id)
    before = tenants_mark.read(store)
    assert observing.orgs(at, tenancy.note) == {"acme"}
    after = tenants_mark.read(store)
    assert before is not None
    assert after is not None
    assert (after.users, after.keys) == (1, 2)
    assert after.changes == before.changes + 1


def test_a_database_that_is_restored_is_as_it_was(at: Connections, tmp_path: Path) -> None:
    shutil.copy(database_of(at), tmp_path / "backup")
    database_of(at).unlink()
    assert isinstance(observing.orgs(at, tenancy.note), Lost)
    shutil.copy(tmp_path / "backup", database_of(at))
    assert observing.orgs(at, tenancy.note) == ORGS


def test_a_loss_that_is_accepted_lets_organisations_come_again(at: Connections) -> None:
    database_of(at).unlink()
    done = slipway(at, "tenants", "accept")
    assert done.output.endswith("accepted with nothing. Its organisations are brought from the catalog.\n")
    assert observing.orgs(at) is None
    tenancy.sync_orgs(at, ORGS)
    assert observing.orgs(at, tenancy.note) == ORGS
    assert slipway(at, "key", "create", "acme", "ann").exit_code == 0


def test_gateways_go_on_with_the_keys_that_they_hold_while_a_lost_database_is_not_made_again(
    store: ObjectStore, at: Connections
) -> None:
    secret = at.tenants.create_key("acme", "ann", "server").secret
    follower = KeyFollower(TenantsDatabase(at.environment.tenants_db_url))
    follower.poll()
    observing.orgs(at, tenancy.note)
    database_of(at).unlink()
    with pytest.raises(TenantsLostError):
        tenancy.sync_orgs(at, ORGS)
    assert not database_of(at).exists()
    with pytest.raises(TenantsDatabaseError):
        follower.poll()
    header = [(b"authorization", f"Bearer {secret}".encode())]
    assert follower.authenticate(header).org == "acme"


def test_a_mark_that_cannot_be_read_is_told_to_a_person(at: Connections, store: ObjectStore) -> None:
    for spoilt in (
        b"",
        b"[]",
        b"{}",
        b'{"began_at": "2026-01-01T00:00:00", "users": 1, "keys": 1, "changes": 1}',
    ):
        store.put(tenants_mark.KEY, spoilt)
        told = observing.orgs(at, tenancy.note)
        assert isinstance(told, Untold)
        assert told.lasting
        assert f"{tenants_mark.KEY} in bucket" in str(told.error)
    assert slipway(at, "tenants", "accept").exit_code == 0
    assert observing.orgs(at) == ORGS


def test_a_first_look_at_a_database_of_any_age_is_where_noticing_begins(
    at: Connections, store: ObjectStore
) -> None:
    store.delete(tenants_mark.KEY)
    assert observing.orgs(at) == ORGS
    assert tenants_mark.read(store) is None  # a plan looks and notes nothing
    assert observing.orgs(at, tenancy.note) == ORGS
    mark = tenants_mark.read(store)
    assert mark is not None
    assert (mark.users, mark.keys, mark.changes) == (1, 2, at.tenants.changes())


def test_a_database_that_began_earlier_and_holds_more_is_no_loss() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    mark = TenantsMark(now, 2, 3, 9)
    assert mark.lacking(mark) is None
    assert mark.lacking(TenantsMark(now - timedelta(days=1), 2, 4, 12)) is None
    assert TenantsMark.decode(mark.encode()) == mark
