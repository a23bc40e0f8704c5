"""What an API server's refusal means: the status of a failed call -> one error with cause and remedy.

Belongs here: reading `Status` objects. Pure. Does not: calling (client.py), deciding what follows
(slipway.dataplane.kubernetes.objects.apply).
Code and reason of a Status come first. What they do not tell apart is told by the API server's words, which
are looked for here alone: everybody else asks for the type of the error.
Source: the Status kind, https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.dataplane.errors import ConfigRefusedError, DataPlaneError
from slipway.dataplane.kubernetes.api.errors import (
    FieldConflictError,
    ForbiddenError,
    GoneError,
    ImmutableFieldError,
    MissingKindError,
    NotFoundError,
    Owner,
)

_MANAGER = re.compile(r'conflict with "(?P<manager>[^"]*)"')
_DENIED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_QUOTA = re.compile(r"exceeded quota: (?P<rest>.+)$")
_WEBHOOK = re.compile(
    r'admission webhook "(?P<name>[^"]*)" denied the request(?:: (?P<reason>.*))?', re.DOTALL
)
_ABSENT_WEBHOOK = re.compile(r'failed calling webhook "(?P<name>[^"]*)"')
_NAMESPACE = re.compile(r'namespaces "(?P<name>[^"]*)" not found')
_TERMINATING = re.compile(r"because it is being terminated")
_PASSING = re.compile(
    r"failed calling webhook|etcdserver|leader changed|timed? ?out|connection re|unavailable"
)


@dataclass(frozen=True)
class Call:
    """What was asked: the HTTP method, an object or kind for a person, and where."""

    method: str
    what: str
    namespace: str = ""

    @property
    def verb(self) -> str:
        """The method as people say it."""
        return {"PATCH": "apply", "DELETE": "delete", "POST": "create", "PUT": "write"}.get(
            self.method, "read"
        )


def refused(call: Call, code: int, body: Mapping[str, Any] | str) -> DataPlaneError:
    """The error for an answer outside of 200-299 that trying again would not change."""
    status: Mapping[str, Any] = body if isinstance(body, Mapping) else {"message": str(body).strip()}
    message = str(status.get("message") or f"HTTP {code}")
    reason = str(status.get("reason") or "")
    readers = {403: _forbidden, 404: _not_found, 409: _conflict, 410: _gone, 422: _invalid}
    read = readers.get(code)
    refusal = _webhook(call, message) or (read(call, message, status, reason) if read else None)
    return refusal or ConfigRefusedError(f"{call.what}: the API server refuses to {call.verb} it: {message}")


_Read = DataPlaneError | None


def _forbidden(call: Call, message: str, status: Mapping[str, Any], reason: str) -> _Read:
    denied = _DENIED.search(message)
    if denied is not None:
        return ForbiddenError(_denied(call, denied))
    quota = _QUOTA.search(message)
    if quota is not None:
        return ConfigRefusedError(
            f"{call.what}: namespace {call.namespace} is full: {quota['rest']}. Ask for less, "
            "remove what is not needed, or raise isolation.quota."
        )
    if _TERMINATING.search(message):
        return ConfigRefusedError(
            f"{call.what}: namespace {call.namespace} is being deleted. Wait until it is gone "
            "(finalizers may hold it: kubectl get namespace -o yaml), then run this again."
        )
    return ForbiddenError(f"{call.what}: the API server forbids to {call.verb} it: {message}")


def _denied(call: Call, denied: re.Match[str]) -> str:
    group, resource = denied["group"] or "", denied["resource"]
    where = f" in namespace {denied['namespace']}" if denied["namespace"] else ""
    return (
        f"{call.what}: {denied['user']} may not {denied['verb']} {resource}"
        f"{f'.{group}' if group else ''}{where}. Add to its Role: "
        f'apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{denied["verb"]}"].'
    )


def _not_found(call: Call, message: str, status: Mapping[str, Any], reason: str) -> _Read:
    missing = _NAMESPACE.search(message)
    if missing is not None and call.what != f"Namespace {missing['name']}":
        return ConfigRefusedError(
            f"{call.what}: namespace {missing['name']} does not exist. Create it (bringing the "
            "data plane does, for the catalog's namespaces), or correct isolation.namespace."
        )
    if reason != "NotFound" or not (status.get("details") or {}).get("name"):
        return MissingKindError(
            f"{call.what}: the API server does not serve this kind or version. Install the operator "
            "whose CRD it is, in the version that Slipway renders."
        )
    return NotFoundError(f"{call.what}: not found")


def _conflict(call: Call, message: str, status: Mapping[str, Any], reason: str) -> _Read:
    causes = (status.get("details") or {}).get("causes") or ()
    owners = tuple(
        Owner(_manager(str(cause.get("message") or "")), str(cause.get("field") or ""))
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict"
    )
    if owners:
        return FieldConflictError(conflict_message(call.what, owners), owners)
    if "UID in the precondition" in message:
        return NotFoundError(f"{call.what}: another one has this name by now")
    if "being deleted" in message:
        return ConfigRefusedError(
            f"{call.what} is being deleted. Wait until it is gone (its finalizers say what holds it), then "
            "run this again."
        )
    return None


def _manager(message: str) -> str:
    named = _MANAGER.search(message)
    return named["manager"] if named else "someone else"


def conflict_message(what: str, owners: tuple[Owner, ...]) -> str:
    """Who owns which field, and how to take or leave it."""
    owned = ", ".join(f"{owner.field.lstrip('.')} is owned by {owner.manager}" for owner in owners)
    return (
        f"{what}: {owned}. Slipway takes fields back from people's kubectl alone. Take these, too, with "
        "SLIPWAY_KUBE_FORCE=1, or let their owner give them up (remove them from what it applies)."
    )


def _gone(call: Call, message: str, status: Mapping[str, Any], reason: str) -> _Read:
    return GoneError(f"{call.what}: {message}")


def _invalid(call: Call, message: str, status: Mapping[str, Any], reason: str) -> _Read:
    causes = (status.get("details") or {}).get("causes") or ()
    immutable = tuple(
        str(cause.get("field") or "") for cause in causes if is_immutable(str(cause.get("message") or ""))
    )
    if immutable or is_immutable(message):
        fields = ", ".join(immutable) or "a field"
        return ImmutableFieldError(
            f"{call.what}: {fields} cannot be changed on an object that exists. It has to be deleted and "
            "made again.",
            immutable,
        )
    return ConfigRefusedError(
        f"{call.what}: the API server does not take it: {message}. Correct the field of the deployment that "
        "this comes from; a name that is too long, by a shorter one."
    )


def is_passing(code: int, message: str) -> bool:
    """Whether an answer is worth another try: a server or webhook that is away, and not a refusal."""
    return code in (429, 502, 503, 504) or (code == 500 and _PASSING.search(message) is not None)


def once_back(trouble: str) -> str:
    """What to do about a server that stayed away: the API server's own trouble, or that of a webhook."""
    absent = _ABSENT_WEBHOOK.search(trouble)
    if absent is None:
        return "Once it answers, run this again: what was done stays done."
    return (
        f"Bring back what serves the admission webhook {absent['name']}, or remove its configuration "
        "(kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations), then run this again: "
        "what was done stays done."
    )


def is_immutable(message: str) -> bool:
    """Whether a message of validation says that a field cannot change."""
    return (
        "immutable" in message or "may not be changed" in message or "updates to statefulset spec" in message
    )


def _webhook(call: Call, message: str) -> _Read:
    """A denial comes with whatever status the webhook gave it; 400 where it gave none."""
    webhook = _WEBHOOK.search(message)
    if webhook is None:
        return None
    return ConfigRefusedError(
        f"{call.what}: the admission webhook {webhook['name']} refuses it: "
        f"{webhook['reason'] or 'no reason given'}. Change the deployment, or the policy behind the webhook."
    )
