"""API keys: until when they work, for what, and one in the place of another."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from slipway.gateway.admission import auth
from slipway.gateway.admission.auth import KeyFollower
from slipway.gateway.admission.key_copy import KeyCopy
from slipway.gateway.api.errors import ApiError
from slipway.tenants import (
    NewKey,
    RefusedChangeError,
    TenantsDatabase,
    UnknownTenantError,
    admin_keys,
    keys,
    projects,
    users,
)
from slipway.tenants.models import ApiKey

DAY = timedelta(days=1)


@pytest.fixture
def follower(database: TenantsDatabase) -> KeyFollower:
    """A gateway's table, read once."""
    follower = KeyFollower(database)
    follower.poll()
    return follower


def opens(follower: KeyFollower, key: NewKey) -> bool:
    header = [(b"authorization", f"Bearer {key.secret}".encode())]
    admin = key.secret.startswith("sk-slipway-admin-")
    try:
        found = (follower.authenticate_admin if admin else follower.authenticate)(header)
    except ApiError as error:
        assert error.status == 401
        return False
    return found.id == key.id


def test_a_key_expires_by_the_clock_with_the_database_down(
    database: TenantsDatabase, follower: KeyFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    soon, never = (keys.create(database, "acme", "ann", "x", expires_at=at) for at in (now + DAY, None))
    users.add(database, "acme", "ann", role="owner")
    admin = admin_keys.create(database, "acme", "ann", "x", expires_at=now + DAY)
    follower.poll()
    assert [opens(follower, key) for key in (soon, never, admin)] == [True, True, True]
    monkeypatch.setattr(auth, "_now", lambda: now + DAY)  # nothing is read again
    assert [opens(follower, key) for key in (soon, never, admin)] == [False, True, False]


def test_an_admin_key_asks_no_model_and_an_api_key_manages_nothing(
    database: TenantsDatabase, follower: KeyFollower
) -> None:
    users.add(database, "acme", "ann", role="owner")
    admin, key = admin_keys.create(database, "acme", "ann", "x"), database.create_key("acme", "ann", "x")
    follower.poll()
    with pytest.raises(ApiError):
        follower.authenticate([(b"authorization", f"Bearer {admin.secret}".encode())])
    with pytest.raises(ApiError):
        follower.authenticate_admin([(b"authorization", f"Bearer {key.secret}".encode())])
    admin_keys.revoke(database, admin.id)
    follower.poll()
    assert not opens(follower, admin)


def test_a_key_is_for_what_it_is_restricted_to(database: TenantsDatabase) -> None:
    made = keys.create(
        database, "acme", "ann", "x", deployments=["chat", "embed"], tasks=["text-generation", "embedding"]
    )
    record = keys.one(database, made.id, org="acme")
    assert record.deployments == {"chat", "embed"}
    asked = {
        ("chat", "text-generation"): True,
        ("embed", "embedding"): True,
        ("other", "text-generation"): False,
        ("chat", "speech-to-text"): False,
    }
    assert {case: auth.permits(record, *case) for case in asked} == asked
    free = keys.one(database, database.create_key("acme", "ann", "x").id, org="acme")
    assert all(auth.permits(free, *case) for case in asked)
    for nothing in ([], [""]):
        with pytest.raises(RefusedChangeError, match="names nothing"):
            keys.create(database, "acme", "ann", "x", deployments=nothing)


def test_an_expiry_must_be_ahead_and_can_be_moved_while_the_key_works(database: TenantsDatabase) -> None:
    now = datetime.now(UTC)
    with pytest.raises(RefusedChangeError, match="is past"):
        keys.create(database, "acme", "ann", "x", expires_at=now - DAY)
    made = keys.create(database, "acme", "ann", "x", expires_at=now + DAY)
    assert keys.set_expiry(database, made.id, now + 2 * DAY, org="acme").expires_at == now + 2 * DAY
    keys.revoke(database, made.id)
    with pytest.raises(RefusedChangeError, match="does not work any more"):
        keys.set_expiry(database, made.id, now + DAY, org="acme")


@pytest.mark.parametrize("grace", [timedelta(0), timedelta(hours=1)])
def test_a_rotated_key_has_the_same_rights_and_the_old_one_stops_when_told(
    database: TenantsDatabase, follower: KeyFollower, grace: timedelta
) -> None:
    ends = datetime.now(UTC) + DAY
    web = projects.create(database, "acme", "web").id
    old = keys.create(
        database,
        "acme",
        "ann",
        "server",
        project=web,
        expires_at=ends,
        deployments=["chat"],
        tasks=["rerank"],
    )
    new = keys.rotate(database, old.id, grace=grace)
    follower.poll()
    assert (opens(follower, new), opens(follower, old)) == (True, grace > timedelta(0))
    before, after = (keys.one(database, key.id, org="acme") for key in (old, new))
    for field in ("org", "user", "label", "project", "deployments", "tasks"):
        assert getattr(after, field) == getattr(before, field)
    assert after.expires_at == new.expires_at == ends
    if grace:
        assert before.expires_at is not None
        assert before.revoked_at is None
        assert before.expires_at - after.created_at == grace
    else:
        with pytest.raises(RefusedChangeError, match="is revoked"):
            keys.rotate(database, old.id)
    with pytest.raises(UnknownTenantError):
        keys.rotate(database, "key_0")


def test_a_grace_never_lengthens_a_key(database: TenantsDatabase) -> None:
    ends = datetime.now(UTC) + timedelta(minutes=1)
    old = keys.create(database, "acme", "ann", "x", expires_at=ends)
    keys.rotate(database, old.id, grace=DAY, expires_at=ends + DAY)
    assert keys.one(database, old.id, org="acme").expires_at == ends


def test_a_gateway_reads_no_key_that_has_ended(database: TenantsDatabase) -> None:
    now = datetime.now(UTC)
    works = database.create_key("acme", "ann", "x")
    later = keys.create(database, "acme", "ann", "x", expires_at=now + DAY)
    over = keys.create(database, "acme", "ann", "x", expires_at=now + DAY)
    with database.changing() as change:
        change.connection.execute(
            update(ApiKey).where(ApiKey.id == over.id).values(expires_at=now - timedelta(hours=2))
        )
    revoked, away = database.create_key("acme", "ann", "x"), database.create_key("evil", "eve", "x")
    database.revoke_key(revoked.id)
    assert {key.id for key in keys.usable(database)} == {works.id, later.id, away.id}
    database.sync_orgs(["acme"])
    assert {key.id for key in keys.usable(database)} == {works.id, later.id}
    assert len(keys.everyone(database)) == 5


def test_keys_that_change_often_are_copied_to_disk_now_and_then(
    database: TenantsDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = KeyCopy(tmp_path / "keys.cached", "token", database.name)
    clock = 100.0
    monkeypatch.setattr(auth.time, "monotonic", lambda: clock)
    follower = KeyFollower(database, copy)

    def copied() -> set[str]:
        follower.poll()
        read = copy.read()
        assert read is not None
        return {key.id for key in read.keys}

    first = keys.create(database, "acme", "ann", "x").id
    assert copied() == {first}
    second = keys.create(database, "acme", "ann", "x").id
    assert copied() == {first}
    clock += auth.COPY_S
    assert copied() == {first, second}
