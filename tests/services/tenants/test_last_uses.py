"""When keys were last used: held until it is noted, noted all at once, and no change to follow."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.gateway.admission.auth import KeyFollower
from slipway.tenants import NewKey, TenantsDatabase, TenantsDatabaseError, admin_keys, keys, last_uses, users

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def key(database: TenantsDatabase) -> NewKey:
    return keys.create(database, "acme", "ann", "x")


@pytest.fixture
def admin_key(database: TenantsDatabase) -> NewKey:
    users.add(database, "acme", "ann", role="owner")
    return admin_keys.create(database, "acme", "ann", "x")


def noted(database: TenantsDatabase, key: NewKey) -> datetime | None:
    return keys.one(database, key.id, org="acme").last_used_at


def bearer(key: NewKey) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {key.secret}".encode())]


def test_what_requests_used_is_noted_once_and_is_no_change_to_follow(
    database: TenantsDatabase, key: NewKey, admin_key: NewKey
) -> None:
    unused = keys.create(database, "acme", "ann", "unused")
    follower = KeyFollower(database)
    follower.poll()
    note, changes = follower.uses.noting(database), database.changes()
    began = datetime.now(UTC) - timedelta(minutes=1)
    for _ in range(3):
        follower.authenticate(bearer(key))
    follower.authenticate_admin(bearer(admin_key))
    assert noted(database, key) is None
    note()
    at, admin_at = noted(database, key), admin_keys.one(database, admin_key.id, org="acme").last_used_at
    for instant in (at, admin_at):
        assert instant is not None
        assert began < instant <= datetime.now(UTC)
    assert noted(database, unused) is None
    assert (database.changes(), follower.uses.seen) == (changes, {})


def test_the_latest_use_of_several_gateways_stays(database: TenantsDatabase, key: NewKey) -> None:
    for minutes, latest in ((0, 0), (2, 2), (1, 2)):
        last_uses.note(database, {key.id: AT + timedelta(minutes=minutes), "key_that_is_none": AT})
        assert noted(database, key) == AT + timedelta(minutes=latest)


def test_more_keys_than_one_transaction_takes_are_noted(database: TenantsDatabase, key: NewKey) -> None:
    many = {f"key_none{number:05d}": AT for number in range(1_200)}
    last_uses.note(database, {**many, key.id: AT})
    assert noted(database, key) == AT


def test_uses_wait_while_the_database_is_away(database: TenantsDatabase, key: NewKey) -> None:
    follower = KeyFollower(database)
    follower.poll()
    follower.authenticate(bearer(key))
    with pytest.raises(TenantsDatabaseError):
        follower.uses.noting(TenantsDatabase("sqlite:////nowhere/tenants.db"))()
    follower.uses.noting(database)()
    assert noted(database, key) is not None
