"""An organization manages its projects and keys with the unmodified SDK."""

import json
from datetime import UTC, datetime

import openai
import pytest

from slipway.catalog.deployment import Limit, Limits
from slipway.tenants import last_uses

HI = [{"role": "user", "content": "hi"}]


def asks(gateway, secret: str) -> int:
    """The status of a chat completion with a key."""
    return gateway.raw("/v1/chat/completions", {"model": "chat", "messages": HI}, secret=secret)[0]


def test_a_project_a_service_account_and_its_key_which_works_until_it_is_revoked(
    administered, organization, fake, route, eventually
):
    gateway = administered.gateway
    gateway.route(route("chat", fake.url))
    project = organization.projects.create(name="search")
    assert (project.name, project.status, project.object) == ("search", "active", "organization.project")
    account = organization.projects.service_accounts.create(
        project.id, name="indexer", expires_in_seconds=3600
    )
    assert account.role == "member"
    assert account.api_key.expires_at - account.api_key.created_at == 3600
    secret = account.api_key.value
    assert eventually(lambda: asks(gateway, secret) == 200) < 1.5
    (event,) = [event for event in gateway.events() if event["status"] == "success"]
    assert (event["user"], event["api_key"]) == (account.id, account.api_key.id)

    key = organization.projects.api_keys.retrieve(account.api_key.id, project_id=project.id)
    assert key.owner.service_account.id == account.id
    assert key.redacted_value.rstrip(".") in secret
    assert secret not in json.dumps(key.model_dump())
    assert key.last_used_at is None  # a gateway notes it within a minute
    last_uses.note(administered.database, {key.id: datetime.fromtimestamp(key.created_at + 5, UTC)})
    key = organization.projects.api_keys.retrieve(key.id, project_id=project.id)
    assert key.last_used_at == key.created_at + 5
    listed = list(organization.projects.api_keys.list(project.id))
    assert [each.id for each in listed] == [account.api_key.id]
    deleted = organization.projects.api_keys.delete(account.api_key.id, project_id=project.id)
    assert deleted.deleted
    assert eventually(lambda: asks(gateway, secret) == 401) < 2.5
    assert list(organization.projects.api_keys.list(project.id)) == []
    with pytest.raises(openai.NotFoundError):
        organization.projects.api_keys.retrieve(account.api_key.id, project_id=project.id)
    assert secret not in gateway.log()


def test_deleting_a_service_account_or_archiving_a_project_revokes_its_keys(
    administered, organization, fake, route, eventually
):
    gateway = administered.gateway
    gateway.route(route("chat", fake.url))
    project = organization.projects.create(name="short-lived")
    accounts = organization.projects.service_accounts
    first, second = (accounts.create(project.id, name=name) for name in ("one", "two"))
    another = accounts.api_keys.create(second.id, project_id=project.id, name="rotated")
    secrets = [first.api_key.value, second.api_key.value, another.value]
    eventually(lambda: [asks(gateway, secret) for secret in secrets] == [200, 200, 200])
    assert accounts.delete(first.id, project_id=project.id).deleted
    eventually(lambda: [asks(gateway, secret) for secret in secrets] == [401, 200, 200])
    assert [account.name for account in accounts.list(project.id)] == ["two"]
    archived = organization.projects.archive(project.id)
    assert (archived.status, archived.archived_at is None) == ("archived", False)
    eventually(lambda: [asks(gateway, secret) for secret in secrets] == [401, 401, 401])
    assert project.id not in [each.id for each in organization.projects.list()]
    assert project.id in [each.id for each in organization.projects.list(include_archived=True)]
    with pytest.raises(openai.BadRequestError, match="archived"):
        accounts.create(project.id, name="three")
    assert organization.projects.archive(project.id) == archived  # again


def test_iterating_follows_pages_also_while_what_is_listed_is_deleted(organization):
    project = organization.projects.create(name="many")
    accounts = organization.projects.service_accounts
    made = [
        accounts.create(project.id, name=f"a{number}", create_service_account_only=True)
        for number in range(5)
    ]
    assert all(account.api_key is None and account.role == "none" for account in made)
    assert [each.id for each in accounts.list(project.id, limit=2)] == [each.id for each in made]
    for account in accounts.list(project.id, limit=2):
        accounts.delete(account.id, project_id=project.id)
    assert list(accounts.list(project.id)) == []


async def test_the_asynchronous_sdk_manages_as_the_other_does(administered):
    async with openai.AsyncOpenAI(**administered.options("acme")) as client:
        organization = client.admin.organization
        project = await organization.projects.create(name="async")
        renamed = await organization.projects.update(project.id, name="asynchronous")
        assert (await organization.projects.retrieve(project.id)) == renamed
        account = await organization.projects.service_accounts.create(project.id, name="bot")
        assert [key.id async for key in organization.projects.api_keys.list(project.id)] == [
            account.api_key.id
        ]
        page = await organization.usage.completions(start_time=1_700_000_000, limit=1)
        assert page.data[0].results == []


def test_a_projects_limit_narrows_the_operators_and_is_held(
    administered, organization, fake, route, eventually
):
    gateway = administered.gateway
    limits = Limits(org=Limit(requests_per_minute=50))
    gateway.route(route("chat", fake.url, limits=limits), route("a/b c", fake.url, upstream_model="x"))
    project = organization.projects.create(name="limited")
    rate_limits = organization.projects.rate_limits
    shown = {limit.model: limit for limit in rate_limits.list_rate_limits(project.id)}
    assert set(shown) == {"chat", "a/b c"}
    assert shown["chat"].max_requests_per_1_minute == 50
    assert shown["chat"].max_tokens_per_1_minute == 10**15
    with pytest.raises(openai.BadRequestError, match="51 is above 50"):
        rate_limits.update_rate_limit(shown["chat"].id, project_id=project.id, max_requests_per_1_minute=51)
    with pytest.raises(openai.BadRequestError, match="by the minute"):
        rate_limits.update_rate_limit(shown["chat"].id, project_id=project.id, max_requests_per_1_day=5)
    slashed = rate_limits.update_rate_limit(
        shown["a/b c"].id, project_id=project.id, max_tokens_per_1_minute=7
    )
    assert (slashed.model, slashed.max_tokens_per_1_minute) == ("a/b c", 7)
    changed = rate_limits.update_rate_limit(
        shown["chat"].id, project_id=project.id, max_requests_per_1_minute=2
    )
    assert changed.max_requests_per_1_minute == 2
    both = rate_limits.update_rate_limit(
        shown["chat"].id, project_id=project.id, max_tokens_per_1_minute=9_000
    )
    assert (both.max_requests_per_1_minute, both.max_tokens_per_1_minute) == (2, 9_000)
    key = organization.projects.service_accounts.create(project.id, name="bot").api_key
    other = organization.projects.service_accounts.create(project.id, name="bot2").api_key
    eventually(lambda: gateway.raw("/v1/models", secret=other.value)[0] == 200)
    eventually(lambda: gateway.raw("/v1/models", secret=key.value)[0] == 200)
    assert [asks(gateway, secret.value) for secret in (key, other, key, other)] == [200, 200, 429, 429]
    assert asks(gateway, gateway.secrets["acme"]) == 200  # another project's


def test_an_owner_makes_admin_keys_and_takes_them_back(administered, organization, eventually):
    made = organization.admin_api_keys.create(name="second", expires_in_seconds=600)
    assert made.value.startswith("sk-slipway-admin-")
    client = openai.OpenAI(**{**administered.options("acme"), "admin_api_key": made.value})

    def works() -> bool:
        try:
            client.admin.organization.projects.list(limit=1)
        except openai.AuthenticationError:
            return False
        return True

    eventually(works)
    kept = organization.admin_api_keys.retrieve(made.id)
    assert (kept.name, kept.owner.name, kept.expires_at) == ("second", "owner", made.expires_at)
    assert made.value not in json.dumps(kept.model_dump())
    assert made.id in [key.id for key in organization.admin_api_keys.list(order="desc")]
    assert organization.admin_api_keys.delete(made.id).deleted
    eventually(lambda: not works())
    with pytest.raises(openai.NotFoundError):
        organization.admin_api_keys.retrieve(made.id)


def test_users_are_listed_given_a_role_and_removed(administered, organization, eventually):
    gateway = administered.gateway
    gateway.add_org("acme", "leaver")
    by_name = {user.name: user for user in organization.users.list()}
    assert by_name["owner"].role == "owner"
    assert [user.name for user in organization.users.list(emails=["owner@acme.example"])] == ["owner"]
    leaver = by_name["leaver"]
    assert organization.users.update(leaver.id, role="owner").role == "owner"
    assert organization.users.update(leaver.id, role="reader").role == "reader"
    with pytest.raises(openai.BadRequestError, match="owner or reader"):
        organization.users.update(leaver.id, role="king")
    default = next(iter(organization.projects.list()))
    assert leaver.id in [user.id for user in organization.projects.users.list(default.id)]
    assert organization.projects.users.retrieve(leaver.id, project_id=default.id).role == "member"
    assert organization.users.delete(leaver.id).deleted
    eventually(lambda: gateway.raw("/v1/models", secret=gateway.secrets["acme/leaver"])[0] == 401)
    with pytest.raises(openai.NotFoundError):
        organization.users.retrieve(leaver.id)
    del gateway.secrets["acme/leaver"], gateway.key_ids["acme/leaver"]


def test_each_change_is_in_the_log_and_no_secret_is(administered, organization, eventually):
    project = organization.projects.create(name="logged")
    account = organization.projects.service_accounts.create(project.id, name="bot")
    organization.projects.api_keys.delete(account.api_key.id, project_id=project.id)
    gateway = administered.gateway
    eventually(lambda: "api_key.delete" in gateway.log())
    lines = [json.loads(line) for line in gateway.log().splitlines() if '"administration"' in line]
    changes = [(line["action"], line["of"], line["id"], line["org"]) for line in lines]
    assert changes == [
        ("project.create", None, project.id, "acme"),
        ("service_account.create", project.id, account.id, "acme"),
        ("api_key.delete", f"{project.id}/{account.api_key.id}", account.api_key.id, "acme"),
    ]
    assert account.api_key.value not in gateway.log()
    assert administered.secrets["acme"] not in gateway.log()
