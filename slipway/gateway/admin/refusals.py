"""What an administration call can be told is wrong, beside the errors of all calls.

Belongs here: status, code and words. Does not: deciding that something is wrong.

What is another organization's and what does not exist get one and the same answer.
"""

from __future__ import annotations

from slipway.gateway.api.errors import ApiError, invalid

_RETRY_AFTER = ((b"retry-after", b"5"),)


def no_such(path: str) -> ApiError:
    """The one answer for what does not exist and for what is another organization's."""
    return ApiError(
        404, "invalid_request_error", "not_found", f"There is no `{path[:512]}` in your organization."
    )


def unsupported(what: str, reason: str) -> ApiError:
    """A call of OpenAI's that nothing here answers to."""
    return ApiError(
        400, "invalid_request_error", "unsupported_operation", f"{what} cannot be managed here: {reason}"
    )


def too_wide(field: str, value: int, operators: int, model: str) -> ApiError:
    """A limit above the operator's."""
    return invalid(
        f"`{field}` = {value} is above {operators}, which the operator allows your organization for "
        f"`{model}`. A project's limit can only narrow it: set at most {operators}.",
        field,
    )


def database_away() -> ApiError:
    """The tenants' database does not answer, or refuses."""
    return ApiError(
        503,
        "server_error",
        "database_unavailable",
        "The database of organizations and keys cannot be reached. Nothing was changed. Keys go on working. "
        "Try again in 5 s.",
        headers=_RETRY_AFTER,
    )


def usage_away() -> ApiError:
    """The object store with published usage does not answer."""
    return ApiError(
        503,
        "server_error",
        "usage_unavailable",
        "Published usage cannot be read at the moment. Try again in 5 s.",
        headers=_RETRY_AFTER,
    )


def too_slow(what: str, patience_s: float) -> ApiError:
    """It took longer than anybody waits."""
    return ApiError(
        503,
        "server_error",
        "too_slow",
        f"The {what} did not answer within {patience_s:g} s. A change may have been made all the same: look "
        "before you make it again. Try again in 5 s.",
        headers=_RETRY_AFTER,
    )


def key_reused() -> ApiError:
    """One `Idempotency-Key` for two different requests."""
    return ApiError(
        409,
        "invalid_request_error",
        "idempotency_key_reused",
        "This Idempotency-Key came with another request before. Use a new one for each request.",
        headers=((b"x-should-retry", b"false"),),
    )
