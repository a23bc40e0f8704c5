"""Every administration call: method and path, and who answers it.

Belongs here: the table, and finding a request's row. Does not: what a call does.

A call is a row: the path below /v1/organization with `*` for an id, its handler, whom it asks, and what the
log calls the change that it makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from slipway.gateway.admin import (
    admin_key_calls,
    key_calls,
    limit_calls,
    project_calls,
    refusals,
    unsupported,
    usage_calls,
    user_calls,
)
from slipway.gateway.admin import service_account_calls as account_calls
from slipway.gateway.admin.asked import Handler
from slipway.gateway.api import errors

ORGANIZATION = "/v1/organization/"
# Roles of projects are below a path of their own.
PROJECTS = "/v1/projects/"
_LONGEST_ID = 255


@dataclass(frozen=True, slots=True)
class Call:
    """One row. `changes`: the name of the change in the log; None for a call that reads."""

    method: str
    path: str
    handle: Handler
    changes: str | None = None
    asks: Literal["database", "usage"] = "database"


_ACCOUNTS = "projects/*/service_accounts"
_USAGE = tuple(Call("GET", path, handle, asks="usage") for path, handle in usage_calls.handlers().items())

CALLS: tuple[Call, ...] = (
    Call("GET", "projects", project_calls.listed),
    Call("POST", "projects", project_calls.create, "project.create"),
    Call("GET", "projects/*", project_calls.retrieve),
    Call("POST", "projects/*", project_calls.update, "project.update"),
    Call("POST", "projects/*/archive", project_calls.archive, "project.archive"),
    Call("GET", f"{_ACCOUNTS}", account_calls.listed),
    Call("POST", f"{_ACCOUNTS}", account_calls.create, "service_account.create"),
    Call("GET", f"{_ACCOUNTS}/*", account_calls.retrieve),
    Call("POST", f"{_ACCOUNTS}/*", account_calls.update, "service_account.update"),
    Call("DELETE", f"{_ACCOUNTS}/*", account_calls.delete, "service_account.delete"),
    Call("POST", f"{_ACCOUNTS}/*/api_keys", account_calls.create_key, "api_key.create"),
    Call("GET", "projects/*/api_keys", key_calls.listed),
    Call("GET", "projects/*/api_keys/*", key_calls.retrieve),
    Call("POST", "projects/*/api_keys/*", key_calls.update, "api_key.update"),
    Call("DELETE", "projects/*/api_keys/*", key_calls.delete, "api_key.delete"),
    Call("GET", "projects/*/rate_limits", limit_calls.listed),
    Call("POST", "projects/*/rate_limits/*", limit_calls.update, "rate_limit.update"),
    Call("GET", "projects/*/users", user_calls.listed_of_project),
    Call("POST", "projects/*/users", user_calls.refuse_of_project),
    Call("GET", "projects/*/users/*", user_calls.retrieve_of_project),
    Call("POST", "projects/*/users/*", user_calls.refuse_of_project),
    Call("DELETE", "projects/*/users/*", user_calls.refuse_of_project),
    Call("GET", "users", user_calls.listed),
    Call("GET", "users/*", user_calls.retrieve),
    Call("POST", "users/*", user_calls.update, "user.update"),
    Call("DELETE", "users/*", user_calls.delete, "user.delete"),
    Call("GET", "admin_api_keys", admin_key_calls.listed),
    Call("POST", "admin_api_keys", admin_key_calls.create, "admin_api_key.create"),
    Call("GET", "admin_api_keys/*", admin_key_calls.retrieve),
    Call("DELETE", "admin_api_keys/*", admin_key_calls.delete, "admin_api_key.delete"),
    *_USAGE,
)

_BY_PATH: dict[tuple[str, ...], dict[str, Call]] = {}
for _call in CALLS:
    _BY_PATH.setdefault(tuple(_call.path.split("/")), {})[_call.method] = _call


def is_administration(path: str) -> bool:
    """Whether a path is of the administration API."""
    return path.startswith((ORGANIZATION, PROJECTS))


def find(method: str, raw_path: bytes, path: str) -> tuple[Call, tuple[str, ...]]:
    """The call of a request, and the ids in its path. Raises ApiError: 400 with the reason, 404, 405.

    The path is taken apart as it was sent: an id may hold a slash, which is `%2F` there.
    """
    written = raw_path.partition(b"?")[0].decode("latin-1")
    if written.startswith(PROJECTS):
        raise refusals.unsupported("Roles of projects", unsupported.ROLES)
    if not written.startswith(ORGANIZATION):
        raise errors.not_found(path)
    segments = tuple(unquote(segment) for segment in written.removeprefix(ORGANIZATION).split("/"))
    refused = unsupported.reason(segments)
    if refused is not None:
        raise refusals.unsupported(*refused)
    for pattern, of_method in _BY_PATH.items():
        if _fits(pattern, segments):
            call = of_method.get("GET" if method == "HEAD" else method)
            if call is None:
                raise errors.method_not_allowed(method, path, ", ".join(sorted(of_method)))
            return call, tuple(got for want, got in zip(pattern, segments, strict=True) if want == "*")
    raise errors.not_found(path)


def _fits(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    return len(pattern) == len(segments) and all(
        want == got or (want == "*" and 0 < len(got) <= _LONGEST_ID and got.isprintable())
        for want, got in zip(pattern, segments, strict=True)
    )
