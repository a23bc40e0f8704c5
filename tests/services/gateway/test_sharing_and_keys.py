import json
import sqlite3

import openai
import pytest

from slipway.catalog.deployment import Limit, Limits
from slipway.gateway.admission import auth
from slipway.tenants import keys, projects
from slipway.tenants.projects import RateLimitRecord

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
# Differ between any two answers, whatever was asked.
VARY = ("date", "x-request-id")


def answer_to(gateway, secret, model):
    """Status, headers and body as bytes, with the model's name made one of equal length."""
    shown = []
    for path, body in (
        ("/v1/chat/completions", {"model": model, **CHAT}),
        ("/v1/chat/completions", {"model": model, **CHAT, "stream": True}),
        ("/v1/completions", {"model": model, "prompt": "hi"}),
        (f"/v1/models/{model}", None),
    ):
        status, headers, raw = gateway.raw(path, body, secret=secret)
        kept = [(name, value) for name, value in headers.items() if name not in VARY]
        shown.append((status, kept, sorted(headers), raw.replace(model.encode(), b"asked-for")))
    return shown


def test_a_model_that_is_not_shared_looks_exactly_like_one_that_does_not_exist(gateway, fake, route):
    gateway.add_org("evil")
    limits = Limits(org=Limit(requests_per_minute=1, tokens_per_minute=1000))
    gateway.route(
        route("secret-01", fake.url, sharing=("acme",), limits=limits),
        route("for-evil1", fake.url, limits=limits),
    )
    evil = gateway.secrets["evil"]
    assert answer_to(gateway, evil, "secret-01") == answer_to(gateway, evil, "missing01")
    assert answer_to(gateway, evil, "missing01")[0][0] == 404
    # Also for an org that has used its limit up, and for one whose limit on the hidden model is used up.
    while gateway.raw("/v1/completions", {"model": "for-evil1", "prompt": "x"}, secret=evil)[0] != 429:
        pass
    gateway.raw("/v1/completions", {"model": "secret-01", "prompt": "x"}, secret=gateway.secrets["acme"])
    assert answer_to(gateway, evil, "secret-01") == answer_to(gateway, evil, "missing01")
    assert len(fake.requests) == 2
    assert [model["id"] for model in json.loads(gateway.raw("/v1/models", secret=evil)[2])["data"]] == [
        "for-evil1"
    ]


def test_what_a_key_is_not_for_looks_exactly_like_what_does_not_exist(gateway, fake, route, eventually):
    gateway.route(
        route("allowed-1", fake.url),
        route("other-001", fake.url),
        route("speech-01", fake.url, task="rerank"),
    )
    chat = keys.create(gateway.database, "acme", "someone", "x", deployments=["allowed-1", "speech-01"])
    rerank = keys.create(gateway.database, "acme", "someone", "x", tasks=["rerank"])

    def models(key):
        status, _, body = gateway.raw("/v1/models", secret=key.secret)
        return [model["id"] for model in json.loads(body)["data"]] if status == 200 else None

    eventually(lambda: models(chat) == ["allowed-1", "speech-01"])
    eventually(lambda: models(rerank) == ["speech-01"])
    for key, hidden in ((chat, "other-001"), (rerank, "other-001"), (rerank, "allowed-1")):
        assert answer_to(gateway, key.secret, hidden) == answer_to(gateway, key.secret, "missing01")
    assert fake.requests == []
    body = {"model": "allowed-1", **CHAT}
    assert gateway.raw("/v1/chat/completions", body, secret=chat.secret)[0] == 200


def test_a_project_limits_itself_below_the_operator_and_never_above(gateway, fake, route, eventually):
    gateway.route(
        route("bounded-1", fake.url, limits=Limits(org=Limit(requests_per_minute=3))), route("more", fake.url)
    )
    database = gateway.database
    web = projects.create(database, "acme", "web").id
    for model, most in (("bounded-1", 100), ("more", 1)):
        projects.set_limit(database, "acme", web, RateLimitRecord(model, most, None))
    inside = keys.create(database, "acme", "someone", "x", project=web)
    outside = keys.create(database, "acme", "someone", "x")
    eventually(lambda: gateway.raw("/v1/models", secret=outside.secret)[0] == 200)

    def asked(model, key):
        status, headers, body = gateway.raw(
            "/v1/chat/completions", {"model": model, **CHAT}, secret=key.secret
        )
        return status, headers["x-ratelimit-limit-requests"], body

    assert asked("more", inside)[:2] == (200, "1")
    status, _, body = asked("more", inside)
    assert (status, b"project limit of 1 requests per minute" in body) == (429, True)
    assert gateway.raw("/v1/chat/completions", {"model": "more", **CHAT}, secret=outside.secret)[0] == 200
    assert [asked("bounded-1", inside)[:2] for _ in range(4)] == [(200, "3")] * 3 + [(429, "3")]
    assert b"organization limit of 3" in asked("bounded-1", inside)[2]


def test_nothing_that_a_tenant_sees_moves_with_what_other_orgs_models_do(gateway, fake, route):
    gateway.add_org("evil")
    evil = gateway.secrets["evil"]

    def seen():
        paths = ("/v1/models", "/v1/models/shared-01", "/v1/models/secret-01", "/v1/models/missing01")
        answers = [gateway.raw(path, secret=evil) for path in paths]
        return [
            (status, {k: v for k, v in headers.items() if k != "date"}, body)
            for status, headers, body in answers
        ]

    gateway.route(route("shared-01", fake.url))
    before = seen()
    assert [status for status, _, _ in before] == [200, 200, 404, 404]
    assert json.loads(before[1][2])["created"] == 0  # not the table's time
    for revision in ("1", "2"):
        gateway.route(
            route("shared-01", fake.url), route("secret-01", fake.url, sharing=("acme",), revision=revision)
        )
        assert seen() == before


def test_events_tell_hidden_and_missing_models_apart_as_little_as_answers(gateway, fake, route):
    gateway.add_org("evil")
    gateway.route(route("secret", fake.url, sharing=("acme",)))
    for model in ("secret", "missing"):
        gateway.raw("/v1/chat/completions", {"model": model, **CHAT}, secret=gateway.secrets["evil"])
    for event in gateway.events():
        found = event["status"], event["error_type"], event["deployment"], event["org"]
        assert found == ("client_error", "model_not_found", "", "evil")


@pytest.mark.parametrize("secret", [None, "", "nonsense", "sk-slipway-" + "A" * 43, "operator-token", "é"])
def test_without_a_known_key_nothing_opens(gateway, fake, route, secret):
    gateway.route(route("chat", fake.url))
    for path, body in (
        ("/v1/chat/completions", {"model": "chat", **CHAT}),
        ("/v1/models", None),
        ("/v1/x", None),
    ):
        status, headers, raw = gateway.raw(path, body, secret=secret)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert json.loads(raw)["error"]["code"] == "invalid_api_key"
    assert fake.requests == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        ({**CHAT}, "model"),
        ({"model": 5, **CHAT}, "model"),
        ({"model": "chat"}, "messages"),
        ({"model": "chat", "messages": "hi"}, "messages"),
        ({"model": "chat", "messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"model": "chat", **CHAT, "stream": 1}, "stream"),
    ],
)
def test_a_malformed_body_is_answered_with_400_naming_the_field_and_calls_no_engine(
    gateway, fake, route, body, param
):
    gateway.route(route("chat", fake.url))
    status, _, raw = gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    error = json.loads(raw)["error"]
    assert (status, error["param"], error["type"]) == (400, param, "invalid_request_error")
    assert fake.requests == []
    (event,) = gateway.events()
    assert (event["status"], event["deployment"], event["output_tokens"]) == ("client_error", "", 0)


def test_a_new_key_works_within_a_second_and_a_revoked_one_stops_within_two(gateway, fake, route, eventually):
    gateway.route(route("chat", fake.url))
    key = gateway.database.create_key("acme", "someone", "second")

    def works() -> bool:
        return gateway.raw("/v1/models", secret=key.secret)[0] == 200

    # What bounds it is how often the gateway looks; how long that takes, a busy machine says.
    assert auth.POLL_S < 0.5
    eventually(works)
    gateway.database.revoke_key(key.id)
    eventually(lambda: not works())


def test_the_keys_of_an_org_that_left_the_catalog_stop_and_work_again_when_it_returns(gateway, eventually):
    def works() -> bool:
        return gateway.raw("/v1/models", secret=gateway.secrets["acme"])[0] == 200

    gateway.database.sync_orgs([])
    eventually(lambda: not works())
    gateway.database.sync_orgs(["acme"])
    eventually(works)


def test_known_keys_go_on_working_while_the_database_is_down(gateway, fake, route, eventually):
    home = gateway.home
    gateway.route(route("chat", fake.url))
    for path in home.glob("tenants.db*"):
        path.rename(path.with_name(f"moved-{path.name}"))
    (home / "tenants.db").mkdir()
    eventually(lambda: "reading API keys fails" in gateway.log())
    assert gateway.client("acme").models.list().data[0].id == "chat"
    assert gateway.raw("/v1/models", secret="unknown")[0] == 401
    (home / "tenants.db").rmdir()
    for path in home.glob("moved-tenants.db*"):
        path.rename(path.with_name(path.name.removeprefix("moved-")))
    key = gateway.database.create_key("acme", "someone", "after")
    eventually(lambda: gateway.raw("/v1/models", secret=key.secret)[0] == 200)


def test_a_gateway_that_cannot_read_keys_yet_says_so_and_does_not_call_keys_wrong(own_gateway, tmp_path):
    (tmp_path / "tenants.db").rename(tmp_path / "moved.db")
    own_gateway.start(ready=False)
    assert own_gateway.raw("/v1/models", secret=own_gateway.secrets["acme"])[0] == 503
    assert own_gateway.raw("/-/ready")[0] == 503
    assert own_gateway.raw("/-/health")[0] == 200


def test_a_gateway_that_starts_while_the_database_is_away_knows_the_keys_that_it_had(
    own_gateway, tmp_path, eventually
):
    gateway, home = own_gateway, tmp_path
    key = gateway.database.create_key("acme", "someone", "kept")
    doomed = gateway.database.create_key("acme", "someone", "doomed")
    gateway.database.revoke_key(doomed.id)
    gateway.start()
    gateway.stop()
    copy = home / "gateway" / "spool" / "keys.cached"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert key.secret not in copy.read_text()
    (home / "tenants.db").rename(home / "moved.db")
    gateway.start()
    assert gateway.raw("/v1/models", secret=key.secret)[0] == 200
    for unknown in (doomed.secret, "unknown"):
        assert gateway.raw("/v1/models", secret=unknown)[0] == 401
    from_memory = " ".join(json.loads(gateway.raw("/-/ready")[2])["served_from_memory"])
    assert "reading API keys" in from_memory
    assert "as this replica last read them" in from_memory
    (home / "moved.db").rename(home / "tenants.db")
    new = gateway.database.create_key("acme", "someone", "new")
    eventually(lambda: gateway.raw("/v1/models", secret=new.secret)[0] == 200)
    eventually(lambda: json.loads(gateway.raw("/-/ready")[2])["served_from_memory"] == [])


def test_when_a_key_was_last_used_is_noted_before_the_gateway_ends(own_gateway):
    gateway = own_gateway
    used, unused = (gateway.database.create_key("acme", "someone", name) for name in ("used", "unused"))
    gateway.start()
    assert gateway.raw("/v1/models", secret=used.secret)[0] == 200
    gateway.stop()
    found = {key.id: key.last_used_at for key in keys.everyone(gateway.database)}
    assert found[unused.id] is None
    assert abs((found[used.id] - used.created_at).total_seconds()) < 60


def test_a_key_revoked_while_the_gateway_was_down_never_works(own_gateway):
    gateway = own_gateway
    key = gateway.database.create_key("acme", "someone", "doomed")
    gateway.start()
    assert gateway.raw("/v1/models", secret=key.secret)[0] == 200
    gateway.stop()
    gateway.database.revoke_key(key.id)
    gateway.start(ready=False)
    while gateway.raw("/-/ready")[0] != 200:
        assert gateway.raw("/v1/models", secret=key.secret)[0] in (401, 503)
    assert gateway.raw("/v1/models", secret=key.secret)[0] == 401


def test_health_says_that_it_lives_to_anyone_and_nothing_else(gateway):
    status, _, body = gateway.raw("/health")
    assert (status, json.loads(body)) == (200, {"status": "alive"})
    assert gateway.raw("/health", secret="unknown")[0] == 200
    assert gateway.raw("/health", b"", method="POST")[0] == 401
    assert gateway.raw("/health/anything")[0] == 401


def test_no_secret_is_in_the_database_the_spool_the_log_or_the_store(gateway, fake, route):
    gateway.route(route("chat", fake.url), route("500", fake.url))
    secret = gateway.secrets["acme"]
    for model in ("chat", "500", "missing"):
        gateway.raw("/v1/chat/completions", {"model": model, **CHAT}, secret=secret)
    gateway.raw("/v1/models", secret="sk-slipway-wrong-secret")
    with sqlite3.connect(gateway.home / "tenants.db") as connection:
        dump = "\n".join(connection.iterdump())
    events = json.dumps(gateway.events())
    spooled = "".join(path.read_text() for path in gateway.home.rglob("*.ndjson"))
    for place in (dump, events, gateway.log(), spooled):
        assert secret not in place
        assert secret[20:] not in place
        assert "wrong-secret" not in place
        assert "operator-token" not in place
        assert gateway.store.location.secret_key not in place


def test_the_operators_endpoints_open_for_no_tenant_and_no_other_method(gateway):
    for path in ("/-/status", "/-/metrics", "/-/ship", "/-/anything"):
        for secret in (None, gateway.secrets["acme"], "operator-toke"):
            assert gateway.raw(path, b"" if path == "/-/ship" else None, secret=secret)[0] == 401
    assert gateway.raw("/-/ship", secret="operator-token")[0] == 404
    assert gateway.raw("/-/anything", secret="operator-token")[0] == 404


def test_unknown_paths_and_methods_are_told_in_openais_shape(gateway):
    secret = gateway.secrets["acme"]
    status, _, body = gateway.raw("/v1/nothing", b"{}", secret=secret)
    assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_url")
    status, headers, _ = gateway.raw("/v1/chat/completions", secret=secret)
    assert (status, headers["allow"]) == (405, "POST")
    with pytest.raises(openai.NotFoundError):
        gateway.client("acme").embeddings.create(model="x", input="y")


def test_a_body_that_is_too_large_is_refused(gateway):
    status, _, _ = gateway.raw("/v1/chat/completions", b" " * (33 * 2**20), secret=gateway.secrets["acme"])
    assert status == 413


def test_prompts_carry_the_salt_of_their_organization_which_no_client_chooses(gateway, fake, route):
    gateway.add_org("umbrella")
    gateway.route(route("salted", fake.url, salts_prompts=True), route("plain", fake.url))
    body = {"messages": [{"role": "user", "content": "hi"}], "cache_salt": "mine"}
    for model, org in (("salted", "acme"), ("salted", "acme"), ("salted", "umbrella"), ("plain", "acme")):
        asked = {"model": model, **body}
        assert gateway.raw("/v1/chat/completions", asked, secret=gateway.secrets[org])[0] == 200
    first, again, others, unsalted = (asked.get("cache_salt") for asked in fake.requests)
    assert first == again != others
    assert "mine" not in (first, others)
    assert {len(first), len(others)} == {64}  # vLLM takes at most 128 characters, and none that is empty
    assert unsalted is None
