"""What registries ask for, and what their refusals mean."""

import json

import pytest

from slipway.artifacts.errors import AccessError, ArtifactError, SourceError
from slipway.artifacts.images.access import RegistryAccess
from slipway.artifacts.images.auth import Authenticator, challenges
from slipway.artifacts.images.errors import MissingBlobError, TargetError
from slipway.artifacts.images.registry_answers import trouble
from slipway.artifacts.images.transport import Transport
from slipway.artifacts.transfer.retry import TransientError


@pytest.mark.parametrize(
    "header",
    [
        'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
        'bearer scope="repository:a/b:pull,push", service="registry.example", realm="https://auth.example/token"',
        'Basic realm="x, y", Bearer realm="https://auth.example/token",service=registry.example',
    ],
)
def test_a_challenge_is_read_however_it_is_written(header: str) -> None:
    found = {each.scheme: each.parameters for each in challenges([header])}
    assert found["bearer"]["realm"] == "https://auth.example/token"
    assert found["bearer"]["service"] == "registry.example"


def test_credentials_are_not_sent_to_another_host_in_plain_http() -> None:
    access = RegistryAccess("registry.example", "source", "user", "hush", "the credentials in LOGIN")
    auth = Authenticator(access, Transport(access))
    auth.challenged(['Bearer realm="http://auth.example/token"'], ("s",), None)
    with pytest.raises(AccessError, match=r"sent to http://auth\.example in plain http\. They were not sent"):
        auth.header(("s",))
    assert "hush" not in repr(access)


def test_an_unknown_way_to_log_in_is_named() -> None:
    access = RegistryAccess("registry.example", "source")
    with pytest.raises(AccessError, match="asks for negotiate; only Bearer and Basic"):
        Authenticator(access, Transport(access)).challenged(["Negotiate"], ("s",), None)


def errors(code: str, message: str = "", detail: object = None) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}).encode()


@pytest.mark.parametrize(
    ("status", "body", "side", "kind", "says"),
    [
        (429, b"", "source", TransientError, "answered 429"),
        (503, b"<html>down</html>", "source", TransientError, "down"),
        (
            500,
            errors("UNKNOWN", "unknown error", "no space left on device"),
            "target",
            TargetError,
            "no room",
        ),
        (507, b"", "target", TargetError, "no room"),
        (403, errors("DENIED", "not yours"), "target", AccessError, "not yours.*SLIPWAY_REGISTRY_USERNAME"),
        (405, errors("UNSUPPORTED"), "target", TargetError, "read-only, make it writable"),
        (404, errors("NAME_UNKNOWN"), "source", SourceError, "no such repository"),
        (400, errors("MANIFEST_INVALID", "bad"), "target", TargetError, "bad"),
    ],
)
def test_an_answer_means(status: int, body: bytes, side, kind: type[Exception], says: str) -> None:
    access = RegistryAccess("registry.example", side)
    found = trouble(access, "engine", status, {"Retry-After": "7"}, body)
    assert type(found) is kind
    with pytest.raises((ArtifactError, TransientError), match=says):
        raise found
    if isinstance(found, TransientError):
        assert found.retry_after_s == 7


def test_a_manifest_whose_blob_is_being_committed_lacks_it_whatever_else_is_said() -> None:
    said = [{"code": "DIGEST_INVALID"}, {"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]
    access = RegistryAccess("registry.example", "target")
    found = trouble(access, "write manifest", 400, {}, json.dumps({"errors": said}).encode())
    assert isinstance(found, MissingBlobError)
