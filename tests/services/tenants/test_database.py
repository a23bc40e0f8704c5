from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import create_engine, select

from slipway.tenants import TenantsDatabase, TenantsDatabaseError, UnknownTenantError
from slipway.tenants.connection import connect, safe_url
from slipway.tenants.database import digest
from slipway.tenants.models import Base


def test_the_migrations_make_exactly_the_tables_of_the_models(url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    TenantsDatabase(url).migrate()
    with create_engine(url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_many_may_migrate_at_once_and_again(url):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: TenantsDatabase(url).migrate(), range(8)))
    assert TenantsDatabase(url).changes() == 0


def test_many_may_open_a_new_file_at_once(tmp_path):
    def opened(path, together):
        engine = connect(f"sqlite:///{path}")
        together.wait()
        with engine.connect() as connection:
            return connection.exec_driver_sql("PRAGMA journal_mode").scalar()

    with ThreadPoolExecutor(4) as pool:
        for number in range(60):
            together = Barrier(4)
            modes = pool.map(lambda _, at=(tmp_path / f"{number}.db", together): opened(*at), range(4))
            assert list(modes) == ["wal"] * 4


def test_a_secret_has_256_bits_is_returned_once_and_only_its_hash_is_kept(database):
    first, second = (database.create_key("acme", "ann", "laptop") for _ in range(2))
    assert first.secret.startswith("sk-slipway-")
    assert len(first.secret.removeprefix("sk-slipway-")) == 43  # 256 bits in base64
    assert first.secret != second.secret
    record = database.keys()[0]
    assert record.sha256 == digest(first.secret)
    assert (record.org, record.user, record.label, record.usable) == ("acme", "ann", "laptop", True)
    assert first.secret.startswith(record.prefix)
    assert len(record.prefix) < 20
    with database.reading() as connection:
        rows = [connection.execute(select(table)).all() for table in Base.metadata.sorted_tables]
    assert first.secret not in repr(rows)
    assert first.id in repr(rows)
    assert first.secret not in repr(first)


def test_every_change_is_counted_and_nothing_else_is(database):
    def counted(change) -> int:
        before = database.changes()
        change()
        return database.changes() - before

    key = database.create_key("acme", "ann", "x")
    assert counted(lambda: database.create_key("acme", "ann", "x")) == 1
    assert counted(lambda: database.revoke_key(key.id)) == 1
    assert counted(lambda: database.revoke_key(key.id)) == 0
    assert counted(lambda: database.add_user("acme", "ann")) == 0
    assert counted(lambda: database.add_user("acme", "bob")) == 1
    assert counted(lambda: database.sync_orgs(["acme", "evil"])) == 0
    assert counted(lambda: database.sync_orgs(["acme", "evil", "new"])) == 1
    assert counted(database.keys) == 0


def test_a_key_revoked_twice_keeps_its_first_time(database):
    key = database.create_key("acme", "ann", "x")
    database.revoke_key(key.id)
    first = database.keys()[0].revoked_at
    database.revoke_key(key.id)
    assert database.keys()[0].revoked_at == first
    assert first.tzinfo is not None
    assert not database.keys()[0].usable


def test_an_org_that_leaves_takes_its_keys_out_of_use_and_back_in_when_it_returns(database):
    database.create_key("acme", "ann", "x")
    database.sync_orgs(["other"])
    assert not database.keys()[0].usable
    database.sync_orgs(["acme"])
    assert database.keys()[0].usable


def test_what_does_not_exist_is_named(database):
    with pytest.raises(UnknownTenantError, match="organization nobody"):
        database.add_user("nobody", "ann")
    with pytest.raises(UnknownTenantError, match="user bob of acme"):
        database.create_key("acme", "bob", "x")
    with pytest.raises(UnknownTenantError, match="API key key_0"):
        database.revoke_key("key_0")


def test_a_database_without_its_schema_says_what_to_do(tmp_path):
    (tmp_path / "empty.db").touch()
    with pytest.raises(TenantsDatabaseError, match=r"SLIPWAY_TENANTS_DB.*migrations"):
        TenantsDatabase(f"sqlite:///{tmp_path / 'empty.db'}").changes()


def test_the_password_of_a_server_is_not_shown():
    shown = safe_url("postgresql+psycopg://me:s3cr3t@db.example/tenants")
    assert "s3cr3t" not in shown
    assert "db.example/tenants" in shown


def test_keys_can_be_read_while_another_writes(database):
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(database.create_key, "acme", "ann", str(n)) for n in range(20)]
        while not all(each.done() for each in made):
            database.keys()
            database.changes()
    assert len({each.result().id for each in made}) == len(database.keys()) == 20
