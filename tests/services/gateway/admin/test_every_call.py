"""Every call that the SDK has below `client.admin.organization`, found in the SDK itself."""

import inspect

import openai
import pytest

from slipway.tenants import users

# What is answered; every other call of the SDK is refused with its reason.
ANSWERED = {
    *(f"projects.{name}" for name in ("create", "retrieve", "update", "list", "archive")),
    *(f"projects.service_accounts.{name}" for name in ("create", "retrieve", "update", "list", "delete")),
    "projects.service_accounts.api_keys.create",
    *(f"projects.api_keys.{name}" for name in ("retrieve", "update", "list", "delete")),
    "projects.rate_limits.list_rate_limits", "projects.rate_limits.update_rate_limit",
    "projects.users.list", "projects.users.retrieve",
    *(f"users.{name}" for name in ("retrieve", "update", "list", "delete")),
    *(f"admin_api_keys.{name}" for name in ("create", "retrieve", "list", "delete")),
    *(f"usage.{name}" for name in (
        "completions", "embeddings", "audio_speeches", "audio_transcriptions", "costs", "moderations",
        "images", "vector_stores", "code_interpreter_sessions", "file_search_calls", "web_search_calls",
        "decisions",
    )),
}  # fmt: skip
# What stands for a parameter of that name; of any other it is a text.
VALUES = {
    "start_time": 1_700_000_000, "threshold_amount": 5, "certificate_ids": ["x"], "permissions": ["x"],
    "attribute_matchers": [], "provider": {}, "verification": {}, "notification_channel": {},
}  # fmt: skip
OPTIONAL = ("external_id", "kms_arn", "role_arn", "max_requests_per_1_minute")
NAMES_ONE = {"project_id", "service_account_id", "api_key_id", "key_id", "user_id"}


def calls(resource, path=()):
    """(dotted name, method) of each call of a resource and of those below it."""
    for name, member in inspect.getmembers(type(resource)):
        if name.startswith(("_", "with_")):
            continue
        if isinstance(member, property) or hasattr(member, "func"):
            yield from calls(getattr(resource, name), (*path, name))
        elif inspect.isfunction(member):
            yield ".".join((*path, name)), getattr(resource, name)


def arguments(method, ids: dict[str, str]) -> dict:
    """Every required parameter of a call, ids from `ids` where they are there."""
    given = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if name.startswith("extra_") or name == "timeout":
            continue
        required = parameter.default is inspect.Parameter.empty
        if required or name in ids or name in OPTIONAL:
            number = 5 if name.startswith("max_") else "text"
            given[name] = ids.get(name, VALUES.get(name, number))
    return given


def outcome(method, ids: dict[str, str]):
    """What the SDK makes of the answer: the object, or its exception."""
    try:
        return method(**arguments(method, ids))
    except openai.APIStatusError as error:
        return error


@pytest.fixture
def acmes(administered, organization):
    """Something of each kind that acme has: its ids by the names of the SDK's parameters."""
    project = organization.projects.create(name="secret-name")
    account = organization.projects.service_accounts.create(project.id, name="secret-name")
    admin = organization.admin_api_keys.create(name="secret-name")
    user = users.add(administered.database, "acme", f"user-{project.id}")
    return {
        "project_id": project.id,
        "service_account_id": account.id,
        "api_key_id": account.api_key.id,
        "key_id": admin.id,
        "user_id": user.id,
        "rate_limit_id": "rl-chat",
        "project_ids": [project.id],
        "api_key_ids": [account.api_key.id],
        "user_ids": [user.id],
        "after": project.id,
    }


def test_each_call_of_the_sdk_is_answered_or_refused_with_its_reason(administered, acmes, fake, route):
    administered.gateway.route(route("chat", fake.url))
    ids = {name: value for name, value in acmes.items() if name != "after"}
    organization = administered.client().admin.organization
    # What is deleted or archived is not read afterwards.
    ordered = sorted(
        calls(organization), key=lambda call: ("delete" in call[0], "archive" in call[0], call[0])
    )
    found = {name: outcome(method, {**ids, "role": "owner"}) for name, method in ordered}
    assert {name for name, each in found.items() if not isinstance(each, openai.APIStatusError)} == ANSWERED
    for name, each in found.items():
        if name not in ANSWERED:
            assert (each.status_code, each.code) == (400, "unsupported_operation"), name
            assert "cannot be managed here: " in each.message
    assert len(found) > 100


def test_no_call_tells_or_changes_anything_of_another_organization(administered, acmes, fake, route):
    """Ids of acme's are to evil what ids that nobody has are: the same error, in the same words."""
    administered.gateway.route(route("chat", fake.url))
    evil = administered.client("evil").admin.organization
    unknown = {name: f"no-{name}" for name in acmes if not name.endswith("_ids")}
    unknown |= {name: [unknown[name[:-1]]] for name in acmes if name.endswith("_ids")}
    unknown["rate_limit_id"] = acmes["rate_limit_id"]
    told_apart = []
    for name, method in calls(evil):
        theirs, nobodys = outcome(method, acmes), outcome(method, unknown)
        shown = [_shown(found, ids) for found, ids in ((theirs, acmes), (nobodys, unknown))]
        if shown[0] != shown[1]:
            told_apart.append((name, *shown))
        assert "secret-name" not in repr(theirs), name
        if name in ANSWERED and NAMES_ONE & set(arguments(method, acmes)):
            assert isinstance(theirs, openai.NotFoundError), name
    assert told_apart == []
    # And all of it is there as it was.
    organization = administered.client().admin.organization
    project = organization.projects.retrieve(acmes["project_id"])
    assert (project.name, project.status) == ("secret-name", "active")
    account = organization.projects.service_accounts.retrieve(
        acmes["service_account_id"], project_id=project.id
    )
    assert account.name == "secret-name"
    assert (
        organization.projects.api_keys.retrieve(acmes["api_key_id"], project_id=project.id).expires_at is None
    )
    assert organization.admin_api_keys.retrieve(acmes["key_id"]).name == "secret-name"
    assert organization.users.retrieve(acmes["user_id"])
    limits = organization.projects.rate_limits.list_rate_limits(project.id)
    assert next(iter(limits)).max_requests_per_1_minute == 10**15


def _shown(found, ids: dict) -> tuple:
    """What can be told of an outcome: its kind and its words, without the ids that were asked for."""
    if isinstance(found, openai.APIStatusError):
        words = str(found.body)
        for name in sorted(NAMES_ONE):
            words = words.replace(ids[name], name)
        return (type(found).__name__, words)
    if hasattr(found, "data"):
        return ("page", [type(item).__name__ for item in found.data])
    return (type(found).__name__,)


def test_an_ordinary_key_opens_nothing_here_and_an_admin_key_nothing_else(administered, fake, route):
    gateway = administered.gateway
    gateway.route(route("chat", fake.url))
    ordinary = {**administered.options("acme"), "admin_api_key": gateway.secrets["acme"]}
    unknown = {**ordinary, "admin_api_key": "sk-slipway-admin-unknown"}
    for name, method in calls(openai.OpenAI(**ordinary).admin.organization):
        found = outcome(method, {})
        assert isinstance(found, openai.PermissionDeniedError), name
    for name, method in calls(openai.OpenAI(**unknown).admin.organization):
        found = outcome(method, {})
        assert isinstance(found, openai.AuthenticationError), name
    for path, body in (
        ("/v1/models", None),
        ("/v1/chat/completions", {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}),
    ):
        assert administered.raw(path, body)[0] == 401
    assert fake.requests == []
    assert gateway.raw("/v1/organization/projects")[0] == 401
