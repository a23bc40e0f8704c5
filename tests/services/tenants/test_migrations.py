"""A database of an earlier version is brought up to date with all it has; one of a later is refused."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

import slipway.tenants.migrations
from slipway.gateway.admission.auth import KeyFollower
from slipway.tenants import TenantsDatabase, TenantsDatabaseError, keys, migrating, projects
from slipway.tenants.secret import digest

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INSERTS = (
    "INSERT INTO organization VALUES ('acme', true, :at), ('gone', false, :at)",
    "INSERT INTO \"user\" (org, name, created_at) VALUES ('acme', 'ann', :at), ('gone', 'bob', :at)",
    'INSERT INTO api_key (id, org, "user", label, sha256, prefix, created_at, revoked_at) VALUES '
    "('key_1', 'acme', 'ann', 'a', :one, 'sk-1', :at, NULL), "
    "('key_2', 'acme', 'ann', 'b', :two, 'sk-2', :at, :at), "
    "('key_3', 'gone', 'bob', 'c', :three, 'sk-3', :at, NULL)",
    "UPDATE change_counter SET value = 7",
)


def config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(slipway.tenants.migrations.__path__[0])))
    return config


def insert(database: TenantsDatabase, *statements: str) -> None:
    secrets = {name: digest(name) for name in ("one", "two", "three", "four")}
    with database.migrating() as connection:
        for statement in statements:
            values = {**secrets, "at": CREATED.replace(tzinfo=None)}
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)


@pytest.fixture
def old(url: str) -> TenantsDatabase:
    """What the first version left: two organisations, one of them gone; three keys, one of them revoked."""
    database = TenantsDatabase(url)
    migrating._make_directory(database)
    with database.migrating() as connection:
        first = config()
        first.attributes["connection"] = connection
        command.upgrade(first, "0001")
    insert(database, *INSERTS)
    return database


def test_many_bring_an_old_database_up_to_date_at_once_and_nothing_of_it_is_lost(
    old: TenantsDatabase,
) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: TenantsDatabase(old._url).migrate(), range(6)))
    assert [(key.id, key.usable) for key in keys.everyone(old)] == [
        ("key_1", True),
        ("key_2", False),
        ("key_3", False),
    ]
    extent = old.extent()
    assert extent is not None
    assert (extent.users, extent.keys, extent.changes) == (2, 3, 7)
    for org in ("acme", "gone"):
        [project] = projects.all_of(old, org)
        assert project.is_default
        assert {key.project for key in keys.all_of(old, org)} == {project.id}
    first = keys.one(old, "key_1", org="acme")
    assert (first.expires_at, first.deployments, first.tasks) == (None, None, None)
    assert old.create_key("acme", "ann", "d").id in {key.id for key in keys.everyone(old)}


def test_a_gateway_that_finds_an_old_database_brings_it_up_to_date(old: TenantsDatabase) -> None:
    follower = KeyFollower(TenantsDatabase(old._url))
    follower.poll()
    assert follower.authenticate([(b"authorization", b"Bearer one")]).id == "key_1"


def test_what_the_version_before_goes_on_writing_is_in_the_default_project(old: TenantsDatabase) -> None:
    old.migrate()
    insert(
        old,
        "INSERT INTO organization VALUES ('new', true, :at)",
        "INSERT INTO \"user\" (org, name, created_at) VALUES ('new', 'eve', :at)",
        'INSERT INTO api_key (id, org, "user", label, sha256, prefix, created_at) VALUES '
        "('key_4', 'acme', 'ann', 'd', :four, 'sk-4', :at)",
    )
    assert keys.one(old, "key_4", org="acme").project == projects.default(old, "acme").id
    old.sync_orgs(["acme", "new"])
    assert projects.default(old, "new").is_default
    old.create_key("new", "eve", "x")


def test_a_database_of_a_later_version_is_read_and_not_migrated(old: TenantsDatabase) -> None:
    old.migrate()
    insert(old, "UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(
        TenantsDatabaseError, match="a later version of Slipway has changed it to revision 0999"
    ):
        old.migrate()
    old.catch_up()
    assert len(old.keys()) == 3


def test_a_migration_that_fails_leaves_all_as_it_was(
    old: TenantsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: object) -> bool:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(projects, "complete_defaults", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        old.migrate()
    assert migrating.is_behind(old)
    monkeypatch.undo()
    old.migrate()
    assert len(old.keys()) == 3


def test_the_newest_revision_is_written_down() -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()]
    assert revisions[0] == migrating.NEWEST
    assert revisions == sorted(revisions, reverse=True)
