"""What an API server's refusals become: one message with cause and remedy. Bodies are a real one's."""

from typing import Any

import pytest

from slipway.dataplane.errors import ConfigRefusedError
from slipway.dataplane.kubernetes.api import errors
from slipway.dataplane.kubernetes.api.refusals import Call, is_passing, once_back, refused

CALL = Call("PATCH", "Deployment chat in namespace n", "n")

DENIED = (
    'deployments.apps "chat" is forbidden: User "system:serviceaccount:slipway:slipway" cannot patch '
    'resource "deployments" in API group "apps" in the namespace "n"'
)
QUOTA = 'services "chat" is forbidden: exceeded quota: q, requested: services=1, used: services=5'
WEBHOOK = 'admission webhook "policy.example.com" denied the request: images must come from registry.local'
IMMUTABLE = 'Deployment.apps "chat" is invalid: spec.selector: Invalid value: field is immutable'

CASES: dict[str, tuple[int, dict[str, Any], type[Exception], tuple[str, ...]]] = {
    "a verb is missing": (
        403,
        {"message": DENIED, "reason": "Forbidden"},
        errors.ForbiddenError,
        ("may not patch deployments.apps in namespace n", 'verbs: ["patch"]'),
    ),
    "the quota is full": (
        403,
        {"message": QUOTA, "reason": "Forbidden"},
        ConfigRefusedError,
        ("namespace n is full: q, requested", "raise isolation.quota"),
    ),
    "a webhook refuses": (
        403,
        {"message": WEBHOOK},
        ConfigRefusedError,
        ("policy.example.com refuses it: images must come", "policy behind the webhook"),
    ),
    "a webhook refuses and gives no status": (
        400,
        {"message": WEBHOOK, "reason": "BadRequest"},
        ConfigRefusedError,
        ("policy.example.com refuses it: images must come", "policy behind the webhook"),
    ),
    "the namespace is missing": (
        404,
        {"message": 'namespaces "n" not found', "reason": "NotFound", "details": {"name": "n"}},
        ConfigRefusedError,
        ("namespace n does not exist", "Create it"),
    ),
    "the kind is not served": (
        404,
        {"message": "the server could not find the requested resource", "details": {}},
        errors.MissingKindError,
        ("does not serve this kind", "Install the operator"),
    ),
    "a field is somebody else's": (
        409,
        {
            "message": "Apply failed with 1 conflict",
            "details": {
                "causes": [
                    {
                        "reason": "FieldManagerConflict",
                        "message": 'conflict with "argocd" using apps/v1',
                        "field": ".spec.replicas",
                    }
                ]
            },
        },
        errors.FieldConflictError,
        ("spec.replicas is owned by argocd", "SLIPWAY_KUBE_FORCE=1"),
    ),
    "a field is immutable": (
        422,
        {
            "message": IMMUTABLE,
            "details": {"causes": [{"message": "field is immutable", "field": "spec.selector"}]},
        },
        errors.ImmutableFieldError,
        ("spec.selector cannot be changed",),
    ),
    "the version is too old": (410, {"message": "too old resource version"}, errors.GoneError, ()),
    "anything else is told in the server's words": (
        400,
        {"message": "json: cannot unmarshal"},
        ConfigRefusedError,
        ("Deployment chat in namespace n", "json: cannot unmarshal"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_names_object_cause_and_remedy(name: str) -> None:
    code, body, expected, said = CASES[name]
    found = refused(CALL, code, body)
    assert type(found) is expected
    for part in said:
        assert part in str(found)


@pytest.mark.parametrize(
    ("code", "message", "passing"),
    [
        (503, "", True),
        (429, "too many requests", True),
        (500, 'failed calling webhook "x": connection refused', True),
        (500, "etcdserver: leader changed", True),
        (500, "failed to create typed patch object: .bogus: field not declared in schema", False),
        (403, "forbidden", False),
    ],
)
def test_only_what_may_pass_is_tried_again(code: int, message: str, passing: bool) -> None:
    assert is_passing(code, message) is passing


def test_a_webhook_that_is_away_is_named_with_what_to_do_and_an_api_server_is_waited_for() -> None:
    said = 'HTTP 500 Internal error occurred: failed calling webhook "policy.example.com": connection refused'
    assert "Bring back what serves the admission webhook policy.example.com" in once_back(said)
    assert once_back("Connection refused").startswith("Once it answers")


def test_a_namespace_that_is_asked_for_itself_is_just_not_there() -> None:
    said = 'namespaces "tenant-a" not found'
    body = {"reason": "NotFound", "message": said, "details": {"name": "tenant-a", "kind": "namespaces"}}
    assert isinstance(refused(Call("GET", "Namespace tenant-a"), 404, body), errors.NotFoundError)
    within = refused(Call("PATCH", "Service chat in namespace tenant-a", "tenant-a"), 404, body)
    assert "namespace tenant-a does not exist" in str(within)
