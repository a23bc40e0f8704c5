"""The connection to engines: choosing an upstream, keeping connections, and what an engine's failure means.

Belongs here: opening an exchange with one retry, and turning every way to fail into the client's error.
Does not: what is in the answer (slipway.gateway.request.forward, slipway.gateway.api.stream).
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Protocol

import aiohttp
import orjson

from slipway.gateway.api import errors
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.operations import Operation
from slipway.gateway.routing import engine_names
from slipway.gateway.routing.connections import WarmConnector
from slipway.gateway.routing.in_flight import Gauge
from slipway.gateway.routing.plain import Answer, Plain
from slipway.gateway.usage.call import Call
from slipway.records.routes import Route

_CONNECT_TIMEOUT_S = 5.0
# Shorter than any engine's own (llama.cpp 5 s, uvicorn 5 s), so that a connection is not taken up just as the
# engine closes it.
_KEEP_ALIVE_S = 4.0
_READ_TO_END_S = 1.0
# No longer than what a connection takes at once, so that none is held in its buffer.
_PLAIN_BYTES = 64 * 1024
# Engines repeat the request in their refusals.
_MAX_REFUSAL_BYTES = 2**20
_IS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}").fullmatch
_UNSAID = "The server refused the request."
# What the client did wrong, in the engine's eyes. Other statuses of an engine are the operator's business.
_CLIENT_ERRORS = frozenset({400, 413, 415, 422})

# What an engine says of a path that it does not have, or was not started for.
_NOT_THERE = frozenset({404, 405, 501})


class Sent(Protocol):
    """A request's body (slipway.gateway.request.outgoing).

    `deadline` is the engine's while it is to answer; a body that waits for its client moves it.
    """

    deadline: asyncio.Timeout | None

    @property
    def content_type(self) -> str:
        """What it is."""
        ...

    @property
    def whole(self) -> bytes | None:
        """All of it, if it is here in one piece."""
        ...

    @property
    def can_be_sent_again(self) -> bool:
        """Whether all that was sent is still there for another engine."""
        ...


class Upstreams:
    """All connections to engines. Open it inside the event loop; close it at the end."""

    def __init__(self) -> None:
        self._outstanding = Gauge()
        self._connector = WarmConnector(
            connect_timeout_s=_CONNECT_TIMEOUT_S, limit=0, keepalive_timeout=_KEEP_ALIVE_S
        )
        self._plain = Plain(
            self._connector, aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S)
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            skip_auto_headers=("User-Agent", "Accept"),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def open(self, route: Route, path: str, payload: Sent, call: Call) -> Exchange:
        """Send the request to `path` at the least busy upstream and return once its answer begins.

        When it does not take the connection, or breaks it off before a byte of an answer, the request goes
        once more to another one (to the same if there is no other: a kept connection may just have closed).
        Making an answer twice changes nothing, and only one is counted. Raises ApiError.
        """
        tried: list[str] = []
        while True:
            base = self._outstanding.least(route.upstreams, without=tried)
            tried.append(base)
            call.attempt = len(tried)
            self._outstanding.enter(base)
            try:
                # The client's own ends with any head, such as 100 Continue, after which nothing comes.
                async with asyncio.timeout(_CONNECT_TIMEOUT_S + route.timeout_s) as payload.deadline:
                    answer = await self._ask(base.removesuffix("/v1") + path, payload, call, route)
            except (aiohttp.ClientError, TimeoutError) as error:
                self._outstanding.leave(base)
                if len(tried) > 1 or not payload.can_be_sent_again or not _worth_a_retry(error, route):
                    raise explained(error, route) from error
            except BaseException:
                self._outstanding.leave(base)
                raise
            else:
                return Exchange(answer, base, self._outstanding, self._connector)
            finally:
                payload.deadline = None

    async def _ask(self, url: str, payload: Sent, call: Call, route: Route) -> Answer:
        """Send it once. A body that is here in one piece and small goes by a shorter way."""
        headers = _headers(call, payload)
        body = payload.whole
        if body is not None and len(body) <= _PLAIN_BYTES:
            return await self._plain.post(url, body, headers, route.timeout_s, call.hand_over)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=route.timeout_s
        )
        return await self._session.post(
            url, data=payload, headers=headers, timeout=timeout, allow_redirects=False
        )


def _headers(call: Call, payload: Sent) -> dict[str, str]:
    named = {"x-request-id": call.request_id, "Content-Type": payload.content_type}
    return named if call.trace is None else {**named, **call.trace.headers()}


class Exchange:
    """One answer that has begun. After `close` its connection is used again if it was read to its end."""

    def __init__(self, response: Answer, base: str, outstanding: Gauge, connector: WarmConnector) -> None:
        self.response = response
        self._connector = connector
        self._base = base
        self._outstanding: Gauge | None = outstanding

    async def read_to_end(self) -> None:
        """Read what follows an answer's end for the client, such as a stream's [DONE]."""
        content = self.response.content
        if content.at_eof():
            return
        try:
            async with asyncio.timeout(_READ_TO_END_S):
                while await content.readany():
                    pass
        except (aiohttp.ClientError, TimeoutError):
            return

    def close(self) -> None:
        """Let go of it; an answer still coming is broken off, which makes the engine stop."""
        if self._outstanding is not None:
            self._outstanding.leave(self._base)
            self._outstanding = None
            self.response.close()
            self._connector.warm()


def explained(error: Exception, route: Route) -> ApiError:
    """The client's error for a failed exchange."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return errors.unreachable(route.model, f"no connection in {_CONNECT_TIMEOUT_S:g} s")
    if isinstance(error, TimeoutError):
        return errors.timed_out(route.model, route.timeout_s)
    # In its own words only where they are the system's: a parser's repeat what the engine said.
    words = f": {error}" if isinstance(error, aiohttp.ClientConnectorError) else ""
    return errors.unreachable(route.model, type(error).__name__ + words)


async def refusal(response: Answer, route: Route, operation: Operation, path: str) -> ApiError:
    """The client's error for an engine's answer other than 200."""
    model, (body, whole) = route.model, await _refusal_body(response, route)
    if response.status in _CLIENT_ERRORS:
        if not whole:
            return ApiError(response.status, "invalid_request_error", None, _UNSAID)
        return _client_error(response.status, body, route)
    # Which the engine does not know.
    is_of_model = engine_names.is_said(body.decode(errors="replace"), route.upstream_model)
    if response.status in _NOT_THERE and not operation.is_everywhere and not is_of_model:
        return errors.not_answered(model, path)
    cause = f"HTTP {response.status}, {len(body)} bytes{_type_of(body)}"
    if response.status in {429, 503}:
        return errors.overloaded(model, cause)
    if response.status == 504:
        return errors.UpstreamError(504, "upstream_timeout", f"The server of `{model}` timed out.", cause)
    return errors.failed(model, cause)


async def _refusal_body(response: Answer, route: Route) -> tuple[bytes, bool]:
    """What an engine says of its refusal, in however many pieces it comes, and whether that is all of it."""
    parts: list[bytes] = []
    size_bytes = 0
    try:
        async with asyncio.timeout(route.timeout_s):
            while size_bytes <= _MAX_REFUSAL_BYTES and (part := await response.content.readany()):
                parts.append(part)
                size_bytes += len(part)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise explained(error, route) from error
    return b"".join(parts), size_bytes <= _MAX_REFUSAL_BYTES


def _type_of(body: bytes) -> str:
    """The type of an engine's error, if it looks like one. Its message may repeat what it was asked."""
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    error = (answer.get("error") or answer) if isinstance(answer, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    return f", {kind}" if isinstance(kind, str) and _IS_NAME(kind) else ""


def _client_error(status: int, body: bytes, route: Route) -> ApiError:
    """The engine's own words, in OpenAI's shape; engines differ in how close to it they are."""
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = body.decode(errors="replace")
    error = (answer.get("error") or answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        error = {"message": str(error)}
    message = error.get("message") or error.get("detail") or _UNSAID
    words = message if isinstance(message, str) else orjson.dumps(message).decode()
    kind, param, code = error.get("type"), error.get("param"), error.get("code")
    return ApiError(
        status,
        kind if isinstance(kind, str) else "invalid_request_error",
        code if isinstance(code, str) else None,
        engine_names.renamed(words, route.upstream_model, route.model),
        param=param if isinstance(param, str) else None,
    )


def _worth_a_retry(error: Exception, route: Route) -> bool:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return len(route.upstreams) > 1
    if isinstance(error, TimeoutError):
        return False
    return isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
