from datetime import UTC, datetime

import orjson
import pytest

from slipway.catalog.deployment import Limit, Limits
from slipway.records.routes import Route, RouteTableError, build, encode, parse

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)


def route(model="chat", **fields) -> Route:
    base = {
        "deployment": "chat",
        "revision": "d" * 64,
        "upstreams": ("http://127.0.0.1:8000/chat-dddddddd/v1",),
        "upstream_model": "chat",
        "sharing": ("acme",),
    }
    return Route(**{"model": model, **base, **fields})


def test_a_table_is_the_same_after_writing_and_reading():
    limits = Limits(org=Limit(tokens_per_minute=5))
    table = build([route(), route("other", sharing="all", limits=limits, timeout_s=1.5)], now=NOW)
    assert parse(encode(table)) == table


def test_equal_routes_have_equal_versions_whenever_and_in_whatever_order():
    assert build([route("a"), route("b")], now=NOW).version == build([route("b"), route("a")]).version
    assert build([route("a")]).version != build([route("a", sharing="all")]).version


@pytest.mark.parametrize(
    ("sharing", "sees"), [("none", []), ("all", ["acme", "evil"]), (("acme",), ["acme"]), ((), [])]
)
def test_a_model_is_visible_to_whom_it_is_shared_with_and_nobody_else(sharing, sees):
    table = build([route(sharing=sharing)])
    assert [org for org in ("acme", "evil") if table.visible("chat", org)] == sees
    assert [org for org in ("acme", "evil") if table.models_of(org)] == sees
    assert table.visible("missing", "acme") is None


class CountedOrg(str):
    """An organization's name that counts what is done with it."""

    __slots__ = ()
    done = 0

    def __eq__(self, other):
        CountedOrg.done += 1
        return str.__eq__(self, other)

    def __hash__(self):
        CountedOrg.done += 1
        return str.__hash__(self)


class CountedModel(CountedOrg):
    """A model's name that does."""

    __slots__ = ()


def cost_of(table, model, org):
    """How often names are hashed or compared to find that an organization may not use a model."""
    table.models_of("")  # as a gateway does before it uses a table
    CountedOrg.done = 0
    assert table.visible(CountedModel(model), CountedOrg(org)) is None
    return CountedOrg.done


def test_a_hidden_model_costs_what_one_costs_that_does_not_exist():
    orgs = tuple(f"org-{number}" for number in range(3_000))
    table = build([route("hidden", sharing=orgs), route("none", sharing="none"), route("all", sharing="all")])
    missing = cost_of(table, "absent", "evil")
    assert cost_of(table, "hidden", "evil") == cost_of(table, "none", "evil") == missing
    assert cost_of(build([]), "absent", "evil") == missing
    other = cost_of(table, "absent", "org-7")  # of one that may use something
    assert cost_of(table, "none", "org-7") == other


def test_the_list_of_models_costs_what_it_shows_whatever_is_hidden():
    shown = [route("mine", sharing=("acme",)), route("all", sharing="all")]
    hidden = [route(f"hidden-{number:03}", sharing=("evil",)) for number in range(500)]
    few, many = build(shown), build([*shown, *hidden])
    assert few.models_of("acme") == many.models_of("acme") == ["all", "mine"]
    for table in (few, many):
        CountedOrg.done = 0
        table.models_of(CountedOrg("acme"))
        assert CountedOrg.done <= 2


def test_an_org_called_all_is_not_everybody():
    assert build([route(sharing=("all",))]).visible("chat", "acme") is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": ""}, "routes[0].model"),
        ({"upstreams": []}, "routes[0].upstreams"),
        ({"upstreams": ["http://h/api"]}, "routes[0].upstreams[0]"),
        ({"upstreams": ["ftp://h/v1"]}, "routes[0].upstreams[0]"),
        ({"upstreams": ["http:///v1"]}, "routes[0].upstreams[0]"),
        ({"task": "magic"}, "routes[0].task"),
        ({"sharing": "some"}, "routes[0].sharing"),
        ({"limits": {"org": {"tokens_per_minute": 0}}}, "routes[0].limits.org.tokens_per_minute"),
        ({"timeout_s": 0}, "routes[0].timeout_s"),
        ({"revision": None}, "routes[0].revision"),
        ({"surprise": 1}, "routes[0].surprise"),
    ],
)
def test_a_bad_route_is_refused_and_its_field_named(change, named):
    document = orjson.loads(encode(build([route()])))
    document["routes"][0].update(change)
    with pytest.raises(RouteTableError) as refused:
        parse(orjson.dumps(document))
    assert named in str(refused.value)


def test_all_problems_are_told_at_once():
    document = orjson.loads(encode(build([route()])))
    document["routes"][0].update({"task": "magic", "timeout_s": -1})
    del document["version"]
    with pytest.raises(RouteTableError) as refused:
        parse(orjson.dumps(document))
    assert len(str(refused.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"", "not JSON"), (b"[]", "not a JSON object"), (b"{}", "schema"), (b'{"schema": 2}', "schema = 2")],
)
def test_what_is_no_table_is_refused(body, says):
    with pytest.raises(RouteTableError, match=says):
        parse(body)


def test_two_routes_for_one_model_are_refused():
    with pytest.raises(RouteTableError, match="chat has several routes"):
        build([route(), route(deployment="b")])


LIVE, BETA = {"endpoints": ("live",)}, {"endpoints": ("beta",)}


def test_a_gateway_serves_the_routes_of_its_endpoint_and_those_of_all():
    table = build([route("m", deployment="a", **LIVE), route("m", deployment="b", **BETA), route("all")])
    served = {at: {r.model: r.deployment for r in table.at(at).routes} for at in ("live", "beta", "x", None)}
    assert served == {
        "live": {"all": "chat", "m": "a"},
        "beta": {"all": "chat", "m": "b"},
        "x": {"all": "chat"},
        None: {"all": "chat"},
    }
    assert {table.at(at).version for at in served} == {table.version}
    assert parse(encode(table)) == table


def test_a_gateway_of_no_endpoint_serves_what_one_endpoint_alone_has():
    assert build([route("m", **LIVE)]).at(None).visible("m", "acme") is not None
    assert build([route("m", endpoints=())]).at("live").visible("m", "acme") is None


@pytest.mark.parametrize("second", [LIVE, {}, {"endpoints": ("beta", "live")}])
def test_two_routes_of_a_name_at_one_endpoint_are_refused(second):
    with pytest.raises(RouteTableError, match="model m has several routes"):
        build([route("m", **LIVE), route("m", **second)])


def test_a_table_that_needs_no_new_field_is_written_as_before_them():
    """A gateway of the version before reads it, and equal tables stay equal."""
    written = orjson.loads(encode(build([route()])))["routes"][0]
    assert {"served_name", "endpoints"}.isdisjoint(written)
    assert set(written) == {
        *("model", "deployment", "revision", "upstreams", "upstream_model"),
        *("task", "sharing", "limits", "timeout_s"),
    }
