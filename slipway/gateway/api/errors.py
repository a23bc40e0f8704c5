"""Everything that a tenant can be told is wrong, in the shape of OpenAI's errors.

Belongs here: status, type, code and words of each refusal, and its JSON.
Does not: deciding that something is wrong. Nothing here may tell a tenant of another tenant's things.
"""

from __future__ import annotations

from typing import Any

import orjson

Header = tuple[bytes, bytes]


class ApiError(Exception):
    """A request that ends with an error. `kind` and `code` are OpenAI's `type` and `code`."""

    def __init__(
        self,
        status: int,
        kind: str,
        code: str | None,
        message: str,
        *,
        param: str | None = None,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.headers = headers

    def body(self) -> bytes:
        """The error as OpenAI writes it."""
        return error_body(self.message, self.kind, self.param, self.code)


class UpstreamError(ApiError):
    """The engine failed, not the client. `cause` is for the log; the client reads the message."""

    def __init__(self, status: int, code: str, message: str, cause: str) -> None:
        super().__init__(status, "server_error", code, message)
        self.cause = cause


def error_body(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    """`{"error": {...}}` with OpenAI's four fields."""
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    return orjson.dumps({"error": error})


def invalid(message: str, param: str | None, *, status: int = 400) -> ApiError:
    """The request's body is malformed; `param` names the field."""
    return ApiError(status, "invalid_request_error", "invalid_request", message, param=param)


def unauthorized() -> ApiError:
    """No key, an unknown key and a revoked key look alike."""
    return ApiError(
        401,
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect or missing API key. Send it as `Authorization: Bearer sk-slipway-...`.",
        headers=((b"www-authenticate", b"Bearer"),),
    )


def not_an_admin_key() -> ApiError:
    """An ordinary API key."""
    return ApiError(
        403,
        "invalid_request_error",
        "missing_scope",
        "You have insufficient permissions for this operation: it needs an admin key of your organization "
        "(`sk-slipway-admin-...`). An API key of a project calls models only.",
    )


def keys_not_loaded() -> ApiError:
    """Right after a start the gateway cannot tell a good key from a bad one yet."""
    return ApiError(
        503,
        "server_error",
        "not_ready",
        "The gateway has not read the API keys yet. Try again shortly.",
        headers=((b"retry-after", b"1"),),
    )


def model_not_found(model: str) -> ApiError:
    """The one answer for a model that does not exist and for one that is not shared with the caller."""
    return ApiError(
        404,
        "invalid_request_error",
        "model_not_found",
        f"The model `{model}` does not exist or you do not have access to it.",
        param="model",
    )


def wrong_task(model: str, task: str, path: str) -> ApiError:
    """The model exists for the caller, but does something else."""
    return ApiError(
        400,
        "invalid_request_error",
        "unsupported_operation",
        f"The model `{model}` is for {task} and does not answer {path}.",
        param="model",
    )


def not_answered(model: str, path: str) -> ApiError:
    """The model is for this, but its engine does not have the path."""
    return ApiError(
        400,
        "invalid_request_error",
        "unsupported_operation",
        f"The server of `{model}` does not answer {path}.",
        param="model",
    )


def not_found(path: str) -> ApiError:
    """No such path."""
    return ApiError(404, "invalid_request_error", "unknown_url", f"Unknown request URL: {path}.")


def method_not_allowed(method: str, path: str, allowed: str) -> ApiError:
    """The path exists for another method."""
    return ApiError(
        405,
        "invalid_request_error",
        "method_not_allowed",
        f"{method} is not allowed for {path}. Use {allowed}.",
        headers=((b"allow", allowed.encode()),),
    )


def unreachable(model: str, cause: str) -> UpstreamError:
    """No engine of the model took the connection, or it broke off before the answer."""
    return UpstreamError(502, "upstream_unreachable", f"The server of `{model}` cannot be reached.", cause)


def failed(model: str, cause: str) -> UpstreamError:
    """The engine answered with an error of its own, or with something that is no answer."""
    return UpstreamError(502, "upstream_error", f"The server of `{model}` failed.", cause)


def overloaded(model: str, cause: str) -> UpstreamError:
    """The engine refused for lack of room."""
    error = UpstreamError(503, "upstream_overloaded", f"The server of `{model}` is overloaded.", cause)
    error.headers = ((b"retry-after", b"1"),)
    return error


def timed_out(model: str, timeout_s: float) -> UpstreamError:
    """The engine was silent for longer than the route allows."""
    return UpstreamError(
        504,
        "upstream_timeout",
        f"The server of `{model}` sent nothing for {timeout_s:g} s.",
        f"silent for {timeout_s:g} s",
    )


def not_recorded() -> ApiError:
    """The usage event could not be written, and an answer that nobody recorded is not given."""
    return ApiError(
        503, "server_error", "usage_not_recorded", "The gateway cannot record usage. Try again later."
    )


def internal() -> ApiError:
    """A fault of the gateway itself; what it is stands in its log alone."""
    return ApiError(500, "server_error", "internal_error", "The gateway failed. The fault is in its log.")
