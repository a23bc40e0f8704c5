"""The APIs that tenants speak: how each of them writes an error, and where its clients put their key.

Belongs here: a row per API. Does not: what is wrong (errors.py), the rest of an answer (answers.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from slipway.gateway.api.errors import ApiError


@dataclass(frozen=True, slots=True)
class Api:
    """One API. `error` is an answer of its own, for a request with such an id; `error_event` ends a stream.

    `key_header` is where its clients put their key, if not into `Authorization`.
    """

    error: Callable[[ApiError, str], bytes]
    error_event: Callable[[ApiError, str], bytes]
    key_header: bytes = b""


def _openai(error: ApiError, _: str) -> bytes:
    return error.body()


def _openai_event(error: ApiError, _: str) -> bytes:
    return b"data: " + error.body() + b"\n\n"


def _responses_event(error: ApiError, _: str) -> bytes:
    """Flat as OpenAI documents it, and nested as it sends it: its SDK raises for the second."""
    said = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    flat = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
    return b"event: error\ndata: " + orjson.dumps({**flat, "error": said}) + b"\n\n"


# By status, as Anthropic's SDKs know them; others by whose fault it is.
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _anthropic(error: ApiError, request_id: str) -> bytes:
    other = "invalid_request_error" if error.status < 500 else "api_error"
    said = {"type": _ANTHROPIC_TYPES.get(error.status, other), "message": error.message}
    return orjson.dumps({"type": "error", "error": said, "request_id": request_id or None})


def _anthropic_event(error: ApiError, request_id: str) -> bytes:
    return b"event: error\ndata: " + _anthropic(error, request_id) + b"\n\n"


OPENAI = Api(_openai, _openai_event)
RESPONSES = Api(_openai, _responses_event)
ANTHROPIC = Api(_anthropic, _anthropic_event, b"x-api-key")
