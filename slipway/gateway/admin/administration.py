"""The administration API as one thing: a request below /v1/organization from its key to its answer.

Belongs here: who may ask, reading the request, running its handler off the event loop, what is logged.
Does not: what a call does (a module each beside this one), which there are (calls.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from slipway.gateway.admin import calls, refusals
from slipway.gateway.admin.asked import Answer, Asked, Room
from slipway.gateway.admin.calls import Call
from slipway.gateway.admin.repeats import Repeats
from slipway.gateway.admin.usage.reader import TooManyResultsError, UnreadableUsageError
from slipway.gateway.admin.workers import InThread, Workers
from slipway.gateway.api import asgi
from slipway.gateway.api.asgi import ClientGone, Receive, Scope, Send
from slipway.gateway.api.errors import Header, invalid
from slipway.gateway.api.parameters import MAX_BODY_BYTES, Parameters
from slipway.gateway.telemetry import log
from slipway.objectstore import ObjectStoreError
from slipway.tenants import RefusedChangeError, TenantsDatabaseError, UnknownTenantError
from slipway.tenants.admin_keys import AdminKeyRecord

_DATABASE_PLACES, _DATABASE_S = 4, 8.0
_USAGE_PLACES, _USAGE_S = 2, 30.0
_LONGEST_IDEMPOTENCY_KEY = 255
# The admin key of a request's headers. Raises ApiError: 401, and 403 for a key that is none.
Authenticate = Callable[[Iterable[Header]], AdminKeyRecord]
_COMPLETE_UNTIL = b"x-slipway-complete-until"


class Administration:
    """What one gateway's admin keys may ask."""

    def __init__(self, authenticate: Authenticate, room: Room, in_thread: InThread) -> None:
        self._authenticate = authenticate
        self._room = room
        self._workers = {
            "database": Workers(
                "database of organizations and keys", _DATABASE_PLACES, _DATABASE_S, in_thread
            ),
            "usage": Workers("published usage", _USAGE_PLACES, _USAGE_S, in_thread),
        }
        self._repeats = Repeats()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ApiError."""
        key = self._authenticate(scope["headers"])
        call, ids = calls.find(scope["method"], scope["raw_path"], scope["path"])
        try:
            body = await _body(scope["headers"], receive)
        except ClientGone:
            return
        parameters = Parameters(scope["query_string"])
        names = iter(ids)
        path = "/".join(part if part != "*" else next(names) for part in call.path.split("/"))
        asked = Asked(self._room, key.org, key.user, key.id, path, ids, parameters, body, datetime.now(UTC))
        answer = await self._answer(call, asked, scope)
        await asgi.answer(send, 200, answer.body, answer.headers)

    async def _answer(self, call: Call, asked: Asked, scope: Scope) -> Answer:
        workers = self._workers[call.asks]

        def run() -> Answer:
            answer = _explained(call, asked)
            return Answer(orjson.dumps(answer), _headers(answer))

        repeated = _idempotency_key(scope["headers"]) if call.changes else None
        if repeated is None:
            return await workers.call(asked.org, run)
        request = sha256(b"\0".join((scope["method"].encode(), scope["raw_path"], asked.body))).digest()
        job = self._repeats.once(asked.org, repeated, request, lambda: workers.start(asked.org, run))
        return await workers.result(job)


def _explained(call: Call, asked: Asked) -> dict[str, Any]:
    """The handler's answer, with every expected trouble as an ApiError."""
    try:
        answer = call.handle(asked)
    except UnknownTenantError as error:
        raise asked.no_such() from error
    except RefusedChangeError as error:
        raise invalid(str(error), error.field) from error
    except TenantsDatabaseError as error:
        log.write("warning", "administration: the tenants' database fails", error=str(error))
        raise refusals.database_away() from error
    except (ObjectStoreError, UnreadableUsageError, OSError) as error:
        expected = (ObjectStoreError, UnreadableUsageError)
        log.write("warning", "administration: no usage", error=log.reason_of(error, expected))
        raise refusals.usage_away() from error
    except TooManyResultsError as error:
        raise invalid(
            "The answer would have more results than one page holds. Ask for fewer buckets (`limit`), group "
            "by fewer fields, or filter.",
            "group_by",
        ) from error
    if call.changes:
        _audit(call, asked, answer)
    return answer


def _audit(call: Call, asked: Asked, answer: dict[str, Any]) -> None:
    """One line per change: who, what, on what. The answer's id, and no field that could be a secret."""
    log.write(
        "info",
        "administration",
        action=call.changes,
        org=asked.org,
        by=asked.by,
        of="/".join(asked.ids) or None,
        id=answer.get("id"),
    )


def _headers(answer: dict[str, Any]) -> tuple[Header, ...]:
    """No cache keeps what may hold a secret. Until when usage is complete stands in a header, too."""
    headers: tuple[Header, ...] = ((b"cache-control", b"no-store"),)
    if answer.get("complete_until") is None:
        return headers
    text = datetime.fromtimestamp(answer["complete_until"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (*headers, (_COMPLETE_UNTIL, text.encode()))


def _idempotency_key(headers: Iterable[Header]) -> bytes | None:
    for name, value in headers:
        if name == b"idempotency-key" and value:
            if len(value) > _LONGEST_IDEMPOTENCY_KEY:
                raise invalid(f"Idempotency-Key: longer than {_LONGEST_IDEMPOTENCY_KEY} characters.", None)
            return value
    return None


async def _body(headers: Iterable[Header], receive: Receive) -> bytes:
    """The request's body, which is small. Raises ApiError 413, and ClientGone."""
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size_bytes += len(parts[-1])
        if size_bytes > MAX_BODY_BYTES:
            raise invalid(f"The request body exceeds {MAX_BODY_BYTES} bytes.", None, status=413)
        if not message.get("more_body"):
            return b"".join(parts)
