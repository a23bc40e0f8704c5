"""A database that is killed, stopped, slow, full, locked or read-only: waiting ends, and is told in words."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from slipway.tenants import TenantsDatabase, TenantsDatabaseError, connection, keys, transactions
from testbed.postgres import PostgresServer


@pytest.fixture
def remote(template: Callable[[str], str], postgres: PostgresServer) -> Iterator[TenantsDatabase]:
    """One on PostgreSQL."""
    database = TenantsDatabase(postgres.new_database(like=template("postgresql")))
    yield database
    database.close()


@pytest.fixture
def local(template: Callable[[str], str], tmp_path: Path) -> TenantsDatabase:
    """One on SQLite."""
    path = tmp_path / "tenants.db"
    path.write_bytes(Path(template("sqlite").removeprefix("sqlite:///")).read_bytes())
    return TenantsDatabase(f"sqlite:///{path}")


def file_of(database: TenantsDatabase) -> Path:
    return Path(database.name.removeprefix("sqlite:///"))


def name_of(database: TenantsDatabase) -> str:
    return database.name.rpartition("/")[2]


def refusal(change: Callable[[], object]) -> str:
    with pytest.raises(TenantsDatabaseError) as refused:
        change()
    said = str(refused.value)
    assert said.startswith("tenants' database ")
    for word in ("psycopg.", "sqlite3.", "OperationalError", "[SQL", "Background on this error", "\n"):
        assert word not in said
    return said


def a_key(database: TenantsDatabase) -> Callable[[], object]:
    return lambda: database.create_key("acme", "ann", "x")


def test_a_server_that_was_killed_is_used_again_as_soon_as_it_is_back(
    remote: TenantsDatabase, postgres: PostgresServer
) -> None:
    made = remote.create_key("acme", "ann", "x")
    postgres.kill()
    try:
        for ask in (remote.changes, a_key(remote)):
            assert "nothing listens there" in refusal(ask)
    finally:
        postgres.start()
    assert [key.id for key in keys.everyone(remote)] == [made.id]
    remote.revoke_key(made.id)


def test_a_held_connection_that_was_closed_is_replaced(remote: TenantsDatabase) -> None:
    with remote.reading() as reading:
        held = reading.connection.dbapi_connection
    assert held is not None
    held.close()
    assert remote.changes() > 0


def test_a_server_that_is_stopped_is_given_up(
    template: Callable[[str], str], postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "_LONGEST_S", 0.5)
    monkeypatch.setitem(connection._LIBPQ_PATIENCE, "connect_timeout", 2)
    remote = TenantsDatabase(postgres.new_database(like=template("postgresql")))
    remote.changes()  # so that a connection is held
    with postgres.halted():
        for ask in (remote.changes, a_key(remote)):
            assert "answer" in refusal(ask)  # the second asks for a new connection
    monkeypatch.undo()
    assert remote.changes() > 0


def test_a_statement_that_takes_too_long_ends(
    remote: TenantsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection._SERVER_PATIENCE, "statement_timeout", "200ms")

    def ask() -> None:
        with remote.reading() as reading:
            reading.execute(text("SELECT pg_sleep(30)"))

    assert "did not answer in time" in refusal(ask)
    assert remote.changes() > 0


def test_a_change_that_another_holds_up_ends(
    remote: TenantsDatabase, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection._SERVER_PATIENCE, "lock_timeout", "200ms")
    with postgres.connect(name_of(remote)) as other:
        other.execute("SELECT * FROM change_counter FOR UPDATE")
        assert "another change was under way for too long" in refusal(a_key(remote))
        assert remote.keys() == []
    remote.create_key("acme", "ann", "x")


def test_a_process_whose_connections_are_all_in_use_is_told(
    template: Callable[[str], str], postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_POOL_WAIT_S", 0.2)
    database = TenantsDatabase(postgres.new_database(like=template("postgresql")))
    with ExitStack() as held:
        for _ in range(6):
            held.enter_context(database.reading())
        assert "all of this process's connections are in use" in refusal(database.changes)
    assert database.changes() > 0
    database.close()


def test_a_server_without_a_connection_left_says_so(postgres: PostgresServer) -> None:
    postgres.execute("postgres", "CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 0")
    database = TenantsDatabase(postgres.url("postgres", user="few", password="few"))
    assert "no connection left" in refusal(database.changes)


def test_a_database_that_is_read_only_is_read_and_refuses_changes(
    remote: TenantsDatabase, postgres: PostgresServer
) -> None:
    postgres.execute("postgres", f"ALTER DATABASE {name_of(remote)} SET default_transaction_read_only = on")
    assert remote.orgs() == ["acme", "evil"]
    assert "is read-only" in refusal(a_key(remote))


def test_a_user_that_may_only_read_reads(remote: TenantsDatabase, postgres: PostgresServer) -> None:
    postgres.execute(
        name_of(remote),
        "CREATE ROLE gateway LOGIN PASSWORD 'gateway'; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO gateway",
    )
    gateway = TenantsDatabase(postgres.url(name_of(remote), user="gateway", password="gateway"))
    gateway.catch_up()
    assert (gateway.keys(), gateway.changes()) == ([], remote.changes())
    assert "its user may not do this" in refusal(a_key(gateway))
    gateway.close()


def test_where_there_is_nothing_a_sentence_says_what_and_no_password(postgres: PostgresServer) -> None:
    wrong = {
        postgres.url("nope"): "there is no such database",
        postgres.url("postgres", password="wr0ng-pass"): "refuses these credentials",
        "postgresql+psycopg://a:wr0ng-pass@127.0.0.1:1/x": "nothing listens there",
        "postgresql+psycopg://a:wr0ng-pass@no.such.host.invalid/x": "its host has no address",
    }
    for url, said in wrong.items():
        told = refusal(TenantsDatabase(url).changes)
        assert said in told
        assert "wr0ng-pass" not in told
        assert postgres.password not in told


def test_a_file_that_is_moved_away_is_not_made_again_and_is_used_when_it_is_back(
    local: TenantsDatabase,
) -> None:
    local.create_key("acme", "ann", "x")
    away = file_of(local).rename(file_of(local).with_name("away"))
    for ask in (local.changes, local.keys, a_key(local)):
        assert f"there is no file {file_of(local)}" in refusal(ask)
    assert not file_of(local).exists()
    away.rename(file_of(local))
    assert len(local.keys()) == 1


def test_a_file_that_may_not_be_written_is_read_and_refuses_changes(local: TenantsDatabase) -> None:
    database = TenantsDatabase(f"sqlite:///file:{file_of(local)}?mode=ro&uri=true")
    assert database.orgs() == ["acme", "evil"]
    assert "is read-only" in refusal(a_key(database))


def test_a_file_that_another_process_writes_for_long_ends_the_wait(
    local: TenantsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_BUSY_TIMEOUT_MS", 200)
    writer = sqlite3.connect(file_of(local), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert "another process is writing for too long" in refusal(a_key(local))
    assert local.orgs() == ["acme", "evil"]  # reading goes on
    writer.close()
    local.create_key("acme", "ann", "x")
