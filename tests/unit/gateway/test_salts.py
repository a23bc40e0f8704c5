"""A salt per organization, for engines that take one; no client has a say in it."""

import pytest

from slipway.gateway.api.answers import Wants
from slipway.gateway.api.operations import OPERATIONS
from slipway.gateway.request.parse import Asked
from slipway.gateway.request.salt import Salts
from slipway.records import routes

NOTHING = Wants(usage=False, timings=False)


def salted(token: str, org: str, *, path: str = "/v1/messages", takes: bool = True, **body) -> dict:
    route = routes.Route(
        model="m", deployment="m", revision="d", upstreams=("http://x/v1",), upstream_model="m",
        salts_prompts=takes,
    )  # fmt: skip
    Salts(token).put(Asked(OPERATIONS[path], body, NOTHING, several_prompts=False), route, org)
    return body


def test_an_orgs_salt_is_the_same_at_every_replica_and_no_others_and_tells_nothing():
    assert salted("t", "acme") == salted("t", "acme")
    told = {salted(token, org)["cache_salt"] for token in ("t", "other") for org in ("acme", "globex")}
    assert len(told) == 4
    assert not any("acme" in salt or "globex" in salt for salt in told)


def test_vllm_takes_it():
    """At most 128 characters, and none of a few."""
    salt = salted("t", "acme")["cache_salt"]
    assert len(salt) == 64
    assert not set("@/\\\0") & set(salt)


@pytest.mark.parametrize("given", ["of another org", "", None, 5])
def test_what_a_client_says_of_it_is_replaced_or_goes(given):
    assert salted("t", "acme", cache_salt=given) == salted("t", "acme")
    assert salted("t", "acme", takes=False, cache_salt=given) == {}
    assert salted("t", "acme", path="/tokenize", cache_salt=given) == {}
