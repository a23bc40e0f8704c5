"""Bounds are remembered for a key and a route, and never outlive what they came from."""

from dataclasses import replace
from datetime import UTC, datetime

from slipway.catalog.deployment import Limit, Limits
from slipway.gateway.admission.bounds import CallersBounds
from slipway.records.routes import Route
from slipway.tenants.database import KeyRecord, digest
from slipway.tenants.projects import RateLimitRecord

KEY = KeyRecord("key_1", "acme", "ann", "", digest("sk"), "sk", datetime.now(UTC), None, True)


def route(requests: int) -> Route:
    return Route(
        model="m", deployment="d", revision="d" * 64, upstreams=("http://127.0.0.1:1/v1",),
        upstream_model="m", sharing="all", limits=Limits(org=Limit(requests_per_minute=requests)),
    )  # fmt: skip


def limits(bounds) -> list[tuple[str, int]]:
    return [(bound.scope, bound.limit) for bound in bounds]


def test_a_caller_of_a_route_gets_the_same_bounds_again():
    known, chat = CallersBounds(), route(5)
    assert known.of(KEY, chat) is known.of(KEY, chat)
    assert limits(known.of(KEY, chat)) == [("org", 5)]


def test_a_route_or_a_key_that_is_read_again_brings_its_own_bounds():
    known = CallersBounds()
    assert limits(known.of(KEY, route(5))) == [("org", 5)]
    assert limits(known.of(KEY, route(7))) == [("org", 7)]
    narrowed = replace(KEY, project="p", project_limits={"m": RateLimitRecord("m", 3, None)})
    assert limits(known.of(narrowed, route(7))) == [("org", 7), ("project", 3)]


def test_no_more_callers_are_remembered_than_there_is_room_for():
    known, routes = CallersBounds(most=3), [route(number) for number in range(1, 9)]
    for each in routes * 2:
        (bound,) = known.of(KEY, each)
        assert bound.limit == each.limits.org.requests_per_minute
        assert len(known._known) <= 3
