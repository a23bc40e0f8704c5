"""Requests that no SDK sends, and requests that come twice."""

import json
import urllib.request

import pytest

from slipway.gateway.api.parameters import MAX_BODY_BYTES

PROJECTS = "/v1/organization/projects"


def refused(administered, path, body=None, method=None) -> tuple[int, dict]:
    status, _, raw = administered.raw(path, body, method=method)
    return status, json.loads(raw)["error"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b"\xff\xfe", 400, None),
        (b"[" * 5_000, 400, None),
        (b'{"name": "' + b"x" * MAX_BODY_BYTES + b'"}', 413, None),
        ({}, 400, "name"),
        ({"name": ""}, 400, "name"),
        ({"name": " "}, 400, "name"),
        ({"name": 5}, 400, "name"),
        ({"name": "x" * 256}, 400, "name"),
        ({"name": "a\nb"}, 400, "name"),
        ({"name": "a\u0000b"}, 400, "name"),
        ({"name": "x", "geography": "eu"}, 400, "geography"),
        ({"name": "x", "nmae": "y"}, 400, "nmae"),
    ],
)
def test_a_body_that_is_none_is_refused_and_nothing_is_made(administered, body, status, param):
    before = administered.database.changes()
    got, error = refused(administered, PROJECTS, body)
    assert (got, error["param"], error["type"]) == (status, param, "invalid_request_error")
    assert administered.database.changes() == before


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/organization/", 404, "unknown_url"),
        ("GET", "/v1/organization/nothing", 404, "unknown_url"),
        ("GET", "/v1/organization/projects/", 404, "unknown_url"),
        ("GET", "/v1/organization/projects/a/b/c/d/e", 404, "unknown_url"),
        ("GET", "/v1/organization/projects/" + "x" * 300, 404, "unknown_url"),
        ("GET", "/v1/organization/projects/%00", 404, "unknown_url"),
        ("GET", "/v1/organization/projects/%ff", 404, "not_found"),
        ("GET", "/v1/organization/projects/..%2F..", 404, "not_found"),
        ("GET", "/v1/organization/projects/' OR 1=1 --".replace(" ", "%20"), 404, "not_found"),
        ("PUT", PROJECTS, 405, "method_not_allowed"),
        ("DELETE", PROJECTS, 405, "method_not_allowed"),
        ("GET", "/v1/organization/usage/completions?start_time=5&start_time=6", 400, "invalid_request"),
        ("GET", PROJECTS + "?after=nobody", 400, "invalid_request"),
        ("GET", "/v1/projects/x/roles", 400, "unsupported_operation"),
    ],
)
def test_a_path_that_is_none_is_refused_in_openais_shape(administered, method, path, status, code):
    assert refused(administered, path, method=method)[0] == status
    assert refused(administered, path, method=method)[1]["code"] == code


def test_a_request_that_comes_twice_with_its_idempotency_key_is_made_once(administered):
    gateway = administered.gateway

    def send(name: str, org: str = "acme") -> tuple[int, dict]:
        request = urllib.request.Request(gateway.url + PROJECTS, data=json.dumps({"name": name}).encode())
        request.add_header("authorization", f"Bearer {administered.secrets[org]}")
        request.add_header("idempotency-key", "test-1")
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    before = administered.database.changes()
    first, again = send("once"), send("once")
    assert first == again
    assert first[0] == 200
    assert administered.database.changes() == before + 1
    assert send("other")[0] == 409
    assert send("once", "evil")[1]["id"] != first[1]["id"]
