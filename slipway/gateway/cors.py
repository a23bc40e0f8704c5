"""Browsers' pages as clients: what a browser asks before it lets a page of another origin read an answer.

Belongs here: preflights, and the headers on answers. Does not: which origins (settings.py), keys: a page has
one like every client, and nothing is granted by a cookie.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from slipway.gateway.api import asgi
from slipway.gateway.api.asgi import Receive, Scope, Send
from slipway.gateway.api.errors import Header

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPERATOR = "/-/"
_METHODS = b"GET, POST, DELETE"
# Where the page's own list of headers is not told, those of the SDKs.
_HEADERS = b"authorization, content-type, x-api-key"
_SHOWN = (
    b"x-request-id, retry-after, x-should-retry, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
    b"x-ratelimit-reset-tokens"
)
_KEPT_S = b"7200"


class Cors:
    """The application for pages of these origins; `*` is every origin. The operator's paths are for none."""

    def __init__(self, app: App, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or let the application answer and the page read it."""
        origin = None if scope["type"] != "http" else _value(scope, b"origin")
        if origin is None or scope["path"].startswith(_OPERATOR) or not self._takes(origin):
            await self._app(scope, receive, send)
            return
        allowed: tuple[Header, ...] = (
            (b"access-control-allow-origin", b"*" if b"*" in self._origins else origin),
            (b"vary", b"origin"),
        )
        if scope["method"] == "OPTIONS" and _value(scope, b"access-control-request-method") is not None:
            asked = _value(scope, b"access-control-request-headers")
            more = (
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", asked or _HEADERS),
                (b"access-control-max-age", _KEPT_S),
            )
            await asgi.start(send, 204, (*allowed, *more))
            await asgi.send_last(send, b"")
            return
        shown = (*allowed, (b"access-control-expose-headers", _SHOWN))

        async def send_shown(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *shown]
            await send(message)

        await self._app(scope, receive, send_shown)

    def _takes(self, origin: bytes) -> bool:
        return b"*" in self._origins or origin in self._origins


def _value(scope: Scope, name: bytes) -> bytes | None:
    return next((value for header, value in scope["headers"] if header == name), None)
