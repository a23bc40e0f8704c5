"""What an organisation manages: projects, users, service accounts, and what their keys lose with them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from slipway.tenants import (
    NewKey,
    RefusedChangeError,
    TenantsDatabase,
    UnknownTenantError,
    admin_keys,
    keys,
    projects,
    service_accounts,
    users,
)
from slipway.tenants.projects import RateLimitRecord


def works(database: TenantsDatabase, key: NewKey) -> bool:
    records = [*database.keys(), *admin_keys.everyone(database)]
    return {record.id: record for record in records}[key.id].usable


def user_id(database: TenantsDatabase, org: str, name: str) -> str:
    return next(user.id for user in users.all_of(database, org) if user.name == name)


def test_every_organisation_has_one_default_project_which_keys_that_name_none_are_in(
    database: TenantsDatabase,
) -> None:
    for org, user in (("acme", "ann"), ("evil", "eve")):
        [project] = projects.all_of(database, org)
        assert (project.is_default, project.is_active, project.name) == (True, True, "Default project")
        assert projects.default(database, org) == project
        made = database.create_key(org, user, "x")
        assert keys.one(database, made.id, org=org).project == project.id
    database.sync_orgs(["acme", "evil"])
    assert len(projects.all_of(database, "acme")) == 1


def test_a_project_that_is_archived_takes_its_keys_along_and_no_others(database: TenantsDatabase) -> None:
    web = projects.create(database, "acme", "web")
    inside, outside = (
        keys.create(database, "acme", "ann", "x", project=project) for project in (web.id, None)
    )
    archived = projects.archive(database, "acme", web.id)
    assert archived.archived_at is not None
    assert (works(database, inside), works(database, outside)) == (False, True)
    before = database.changes()
    assert projects.archive(database, "acme", web.id) == archived
    assert database.changes() == before
    for change in (
        lambda: keys.create(database, "acme", "ann", "x", project=web.id),
        lambda: projects.rename(database, "acme", web.id, "other"),
        lambda: service_accounts.create(database, "acme", web.id, "ci"),
        lambda: projects.set_limit(database, "acme", web.id, RateLimitRecord("chat", 1, None)),
    ):
        with pytest.raises(RefusedChangeError, match="is archived"):
            change()
    assert database.changes() == before
    with pytest.raises(RefusedChangeError, match="cannot be archived"):
        projects.archive(database, "acme", projects.default(database, "acme").id)


def test_nothing_of_another_organisation_can_be_seen_or_changed(database: TenantsDatabase) -> None:
    project = projects.create(database, "acme", "web").id
    account = service_accounts.create(database, "acme", project, "ci").id
    key = keys.create(database, "acme", account, "x").id
    ann = user_id(database, "acme", "ann")
    users.set_role(database, "acme", ann, "owner")
    admin = admin_keys.create(database, "acme", "ann", "x").id
    later = datetime.now(UTC) + timedelta(days=1)
    limit = RateLimitRecord("chat", 1, 1)
    own = projects.default(database, "evil").id
    attempts: list[Callable[[], object]] = [
        lambda: projects.one(database, "evil", project),
        lambda: projects.rename(database, "evil", project, "mine"),
        lambda: projects.archive(database, "evil", project),
        lambda: projects.limits_of(database, "evil", project),
        lambda: projects.set_limit(database, "evil", project, limit),
        lambda: service_accounts.create(database, "evil", project, "x"),
        lambda: service_accounts.all_of(database, "evil", project),
        lambda: service_accounts.one(database, "evil", own, account),
        lambda: service_accounts.one(database, "evil", project, account),
        lambda: service_accounts.change(database, "evil", own, account, name="mine"),
        lambda: service_accounts.remove(database, "evil", own, account),
        lambda: users.one(database, "evil", ann),
        lambda: users.set_role(database, "evil", ann, "reader"),
        lambda: users.remove(database, "evil", ann),
        lambda: keys.create(database, "evil", "eve", "x", project=project),
        lambda: keys.create(database, "evil", account, "x"),
        lambda: keys.create(database, "evil", "ann", "x"),
        lambda: keys.all_of(database, "evil", project),
        lambda: keys.one(database, key, org="evil"),
        lambda: keys.one(database, key, org="acme", project=own),
        lambda: keys.revoke(database, key, org="evil"),
        lambda: keys.rotate(database, key, org="evil"),
        lambda: keys.set_expiry(database, key, later, org="evil"),
        lambda: admin_keys.one(database, admin, org="evil"),
        lambda: admin_keys.revoke(database, admin, org="evil"),
    ]
    before = database.changes()
    for attempt in attempts:
        with pytest.raises(UnknownTenantError):
            attempt()
    assert database.changes() == before
    assert keys.all_of(database, "evil") == []
    assert admin_keys.all_of(database, "evil") == []
    assert [user.name for user in users.all_of(database, "evil")] == ["eve"]


def test_a_project_limits_itself_per_model_and_its_keys_carry_it(database: TenantsDatabase) -> None:
    web = projects.create(database, "acme", "web").id
    key = keys.create(database, "acme", "ann", "x", project=web)
    other = keys.create(database, "acme", "ann", "x")
    projects.set_limit(database, "acme", web, RateLimitRecord("chat", 5, None))
    projects.set_limit(database, "acme", web, RateLimitRecord("chat", 5, 100))
    projects.set_limit(database, "acme", web, RateLimitRecord("embed", None, 7))
    carried = {record.id: record.project_limits for record in keys.everyone(database)}
    assert carried[key.id] == {
        "chat": RateLimitRecord("chat", 5, 100),
        "embed": RateLimitRecord("embed", None, 7),
    }
    assert carried[other.id] == {}
    projects.set_limit(database, "acme", web, RateLimitRecord("chat", None, None))
    assert projects.limits_of(database, "acme", web) == [RateLimitRecord("embed", None, 7)]
    for wrong in (-1, 10**16):
        with pytest.raises(RefusedChangeError, match="tokens_per_minute"):
            projects.set_limit(database, "acme", web, RateLimitRecord("chat", 1, wrong))


def test_a_service_account_is_whom_its_keys_name_and_takes_them_along(database: TenantsDatabase) -> None:
    web, other = (projects.create(database, "acme", name).id for name in ("web", "other"))
    account = service_accounts.create(database, "acme", web, "ci")
    key = keys.create(database, "acme", account.id, "x")
    record = keys.one(database, key.id, org="acme", project=web)
    assert (record.user, record.project) == (account.id, web)
    with pytest.raises(RefusedChangeError, match="is not of project"):
        keys.create(database, "acme", account.id, "x", project=other)
    assert service_accounts.all_of(database, "acme", web) == [account]
    assert service_accounts.all_of(database, "acme", other) == []
    assert [user.name for user in users.all_of(database, "acme")] == ["ann"]  # it is no user of the API
    changed = service_accounts.change(database, "acme", web, account.id, name="build", role="owner")
    assert (changed.name, changed.role, changed.id) == ("build", "owner", account.id)
    service_accounts.remove(database, "acme", web, account.id)
    assert service_accounts.all_of(database, "acme", web) == []
    assert not works(database, key)
    with pytest.raises(UnknownTenantError):
        keys.create(database, "acme", account.id, "x")


def test_a_user_that_is_removed_loses_its_keys_and_gets_none_back_when_it_returns(
    database: TenantsDatabase,
) -> None:
    before = user_id(database, "acme", "ann")
    users.set_role(database, "acme", before, "owner")
    made = [database.create_key("acme", "ann", "x"), admin_keys.create(database, "acme", "ann", "x")]
    users.remove(database, "acme", before)
    assert [works(database, key) for key in made] == [False, False]
    assert users.all_of(database, "acme") == []
    with pytest.raises(UnknownTenantError, match="user ann of acme"):
        database.create_key("acme", "ann", "x")
    back = users.add(database, "acme", "ann")
    assert (back.id, back.role) == (before, "reader")
    assert [works(database, key) for key in made] == [False, False]
    assert works(database, database.create_key("acme", "ann", "x"))


def test_admin_keys_are_owners_and_end_with_the_role(database: TenantsDatabase) -> None:
    with pytest.raises(RefusedChangeError, match="is no owner"):
        admin_keys.create(database, "acme", "ann", "x")
    ann = user_id(database, "acme", "ann")
    users.set_role(database, "acme", ann, "owner")
    key = admin_keys.create(database, "acme", "ann", "x")
    assert key.secret.startswith("sk-slipway-admin-")
    record = admin_keys.one(database, key.id, org="acme")
    assert key.secret.startswith(record.redacted_value.removesuffix("..."))
    assert len(record.redacted_value) < 30
    assert database.keys() == []  # no request to a model has it
    users.set_role(database, "acme", ann, "reader")
    assert not works(database, key)
    with pytest.raises(RefusedChangeError, match="role = 'king'"):
        users.set_role(database, "acme", ann, "king")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "\ud800", "x" * 256])
def test_a_name_that_cannot_be_kept_or_shown_is_refused_and_changes_nothing(
    database: TenantsDatabase, name: str
) -> None:
    before = database.changes()
    project = projects.default(database, "acme").id
    for attempt in (
        lambda: projects.create(database, "acme", name),
        lambda: projects.rename(database, "acme", project, name),
        lambda: users.add(database, "acme", name),
        lambda: service_accounts.create(database, "acme", project, name),
        lambda: projects.set_limit(database, "acme", project, RateLimitRecord(name, 1, 1)),
    ):
        with pytest.raises(RefusedChangeError):
            attempt()
    assert database.changes() == before


def test_names_of_any_language_are_kept_as_they_are(database: TenantsDatabase) -> None:
    name = "Größe — 数据 🙂'; DROP TABLE project; --"
    assert projects.create(database, "acme", name).name == name
    assert users.add(database, "acme", name, email="ä@example.org").email == "ä@example.org"
    made = keys.create(database, "acme", name, name)
    assert keys.one(database, made.id, org="acme").label == name


def test_no_key_made_while_its_project_is_archived_goes_on_working(database: TenantsDatabase) -> None:
    web = projects.create(database, "acme", "web").id
    before = database.changes()

    def make(number: int) -> bool:
        try:
            keys.create(database, "acme", "ann", str(number), project=web)
        except RefusedChangeError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(make, number) for number in range(8)]
        archived = pool.submit(projects.archive, database, "acme", web)
        made += [pool.submit(make, number) for number in range(8, 12)]
        archived.result()
    inside = keys.all_of(database, "acme", web)
    assert [key.usable for key in inside] == [False] * len(inside)
    assert len(inside) == sum(each.result() for each in made)
    assert database.changes() == before + 1 + len(inside)  # each was counted once
