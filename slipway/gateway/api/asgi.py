"""The little of ASGI that the gateway needs, without a framework in the way of a streamed token.

Belongs here: types, reading a body, sending an answer. Does not: anything about OpenAI or tenants.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from slipway.gateway.api.errors import ApiError, Header, invalid

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON: Header = (b"content-type", b"application/json")
EVENT_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)

MAX_BODY_BYTES = 32 * 2**20


class ClientGone(Exception):  # noqa: N818 - nobody did anything wrong
    """The client hung up before its request was complete."""


async def read_body(receive: Receive) -> bytes:
    """The whole request body. Raises ApiError 413 when it is too large, and ClientGone."""
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size_bytes += len(part)
        if size_bytes > MAX_BODY_BYTES:
            raise too_large()
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large() -> ApiError:
    """For a body above MAX_BODY_BYTES."""
    return invalid(f"The request body exceeds {MAX_BODY_BYTES} bytes.", None, status=413)


async def start(send: Send, status: int, headers: Iterable[Header]) -> None:
    """Send status and headers."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def send_part(send: Send, body: bytes) -> None:
    """Send part of a body; more follows."""
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def send_last(send: Send, body: bytes) -> None:
    """Send the end of a body."""
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def answer(
    send: Send, status: int, body: bytes, headers: Iterable[Header] = (), *, content_type: Header = JSON
) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(body))
    await start(send, status, (content_type, length, *headers))
    await send_last(send, body)
