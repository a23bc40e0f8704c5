"""Browsers' pages: preflights, headers, and that nothing is open by itself."""

import asyncio

import pytest

from slipway.gateway.cors import Cors
from slipway.gateway.settings import SettingError, _origins


class FakeEnvironment(dict):
    """Variables alone."""


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"1")]})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


def asked(origins, method="POST", path="/v1/models", **headers) -> tuple[int, dict]:
    sent = []

    async def send(message):
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": named}
    asyncio.run(Cors(app, frozenset(origins))(scope, None, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


PAGE = "https://chat.example.com"


def test_a_page_of_a_known_origin_may_ask_and_read():
    status, headers = asked(
        [PAGE], "OPTIONS", origin=PAGE, access_control_request_method="POST",
        access_control_request_headers="authorization,x-stainless-os",
    )  # fmt: skip
    assert (status, headers["access-control-allow-origin"], headers["vary"]) == (204, PAGE, "origin")
    assert headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    assert "POST" in headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in headers
    status, headers = asked([PAGE], origin=PAGE)
    assert (status, headers["access-control-allow-origin"], headers["x-request-id"]) == (200, PAGE, "1")
    assert "retry-after" in headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("origins", "headers"), [([PAGE], {"origin": "https://evil.example"}), ([PAGE], {}), (["*"], {})]
)
def test_other_pages_and_other_clients_are_answered_as_ever(origins, headers):
    assert asked(origins, **headers) == (200, {"x-request-id": "1"})


def test_every_page_may_ask_where_all_are_named_but_never_the_operator():
    assert asked(["*"], origin=PAGE)[1]["access-control-allow-origin"] == "*"
    assert asked(["*"], path="/-/status", origin=PAGE)[1] == {"x-request-id": "1"}


def test_the_setting_is_none_by_default_and_names_what_is_no_origin():
    assert _origins(FakeEnvironment()) == frozenset()
    both = FakeEnvironment(SLIPWAY_GATEWAY_CORS_ORIGINS=f"{PAGE}, http://localhost:3000,")
    assert _origins(both) == {PAGE, "http://localhost:3000"}
    for wrong in ("chat.example.com", PAGE + "/", "https://*.example.com", "null"):
        with pytest.raises(SettingError, match="SLIPWAY_GATEWAY_CORS_ORIGINS"):
            _origins(FakeEnvironment(SLIPWAY_GATEWAY_CORS_ORIGINS=wrong))
