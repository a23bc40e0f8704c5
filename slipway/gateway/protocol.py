"""HTTP/1 as uvicorn speaks it, with the bounds that it lacks, for clients that nobody knows yet.

Belongs here: bounds of bytes and time around a request, ends of connections, HTTP/1.0.
Does not: memory for bodies (slipway.gateway.api.uploads), what is answered (app.py).

What is not a body's byte (a request's head, trailers, what surrounds chunks) is bounded as a whole: the
parser would keep a header of any length until it is complete.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from slipway.gateway.api import errors
from slipway.gateway.api.asgi import Receive, Scope, Send
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.operations import api_of

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
HEAD_S = 20.0
# A body arrives at this rate, looked at this often; what takes longer than this time, at the other in all.
# While it is not read no time passes.
BODY_CHECK_S = 10.0
MIN_BODY_BYTES_PER_S = 4 * 1024
BODY_S = 300.0
MIN_LONG_BODY_BYTES_PER_S = 128 * 1024
# A client that still sends a body when it is answered: reading on for a moment lets it see the answer.
LINGER_S = 5.0
MAX_LINGERING_BYTES = 64 * 2**20
# How often it is asked whether a client that has ended its side still listens.
PROBE_S = 0.1
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TCP_CLOSE = 7  # of Linux's tcp_states.h
_KEEPALIVE_S = 5
_RESET = struct.pack("ii", 1, 0)  # of SO_LINGER: closing throws away what is not sent, and says so


class BoundedProtocol(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._app = self.app
        self.app = self._run
        self.url = b""  # until a request says one
        self._in_head = True  # also before the first request
        self._is_read = True  # the last request has been read to its end
        self._progressed = False
        self._overhead_bytes = 0
        self._head_bytes = 0
        self._refused = False
        self._lingering_bytes: int | None = None
        self._half_closed = False
        self._ends_by_closing = False  # an answer to HTTP/1.0 without a length
        self._body_bytes = self._body_bytes_then = 0
        self._body_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; it has to say what it wants."""
        super().connection_made(transport)
        self._arm(HEAD_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what came, unless it is too much of what is no body."""
        if self._lingering_bytes is not None:
            self._lingering_bytes += len(data)
            if self._lingering_bytes > MAX_LINGERING_BYTES:
                self.transport.abort()
                return
        if self._refused:
            return
        self._progressed = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._overhead_bytes = 0 if self._progressed else self._overhead_bytes + len(data)
        if self._overhead_bytes > MAX_HEAD_BYTES:
            self._refuse(_too_large())
        elif self._timer is None and (self._in_head or (self._is_read and self._is_answered)):
            self._arm(HEAD_S, self._head_is_late)
        elif self._timer is None and not self._is_read:
            self._body_bytes_then, self._body_s = self._body_bytes, 0.0
            self._arm(BODY_CHECK_S, self._check_body)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more: what it has asked for it gets, while it listens.

        In the middle of an answer it has hung up, as clients do that have seen enough.
        """
        if not self._is_read or self._is_answered or self._refused or self.cycle.response_started:
            return False
        self._half_closed = True
        self.cycle.keep_alive = False
        self._keep_asking()
        if self.scope["http_version"] == "1.1":
            # Who has closed both sides answers this with a reset; others pass over it (RFC 9110, 15.2).
            self.transport.write(_CONTINUE)
        self._probe()
        return True

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._is_read, self._head_bytes, self._body_bytes = True, False, 0, 0

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header. What comes after the body is none: nothing in a trailer counts (RFC 9110, 6.5.1)."""
        if self._in_head:
            self._head_bytes += len(name) + len(value)
            if self._head_bytes <= MAX_HEAD_BYTES and len(self.headers) < MAX_HEADERS:
                super().on_header(name, value)
            else:
                self._head_bytes = MAX_HEAD_BYTES + 1

    def on_headers_complete(self) -> None:
        """It can be answered."""
        self._in_head, self._progressed = False, True
        self._disarm()
        if self._refused:
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_too_large())
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._progressed = True
        self._body_bytes += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """It is read to its end."""
        self._is_read = self._progressed = True
        if self._refused:
            return
        super().on_message_complete()
        self._disarm()
        if self._lingering_bytes is not None:
            self._lingering_bytes = None
            if self.cycle.keep_alive:
                self._arm(self.timeout_keep_alive, self.timeout_keep_alive_handler)
            else:
                self.transport.close()

    def on_response_complete(self) -> None:
        """It is answered; the client may still send its body."""
        late = self._is_answered and not self._is_read and not self._in_head
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if late:
            self._unset_keepalive_if_required()
            self._lingering_bytes = 0
            self._arm(LINGER_S, self.transport.close)
        elif self._half_closed and self._is_answered:
            self.transport.close()

    @property
    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle: RequestResponseCycle = send.__self__  # type: ignore[attr-defined]
        if not cycle.keep_alive:
            send = partial(self._send_last_answer, cycle, send)
        await self._app(scope, receive, send)
        if cycle.response_started and not cycle.response_complete and not cycle.disconnected:
            # What was sent of the answer must not pass for all of it: without its last chunk, or all of its
            # length, it does not; where closing is the end of it, only a reset says so.
            cycle.disconnected = True
            if self._ends_by_closing:
                own: socket.socket = self.transport.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self.transport.abort()
            else:
                self.transport.close()

    async def _send_last_answer(self, cycle: RequestResponseCycle, send: Send, message: Any) -> None:
        """Of a connection that ends with it: as it is to HTTP/1.0, which knows no chunks."""
        if message["type"] == "http.response.start":
            has_length = any(name.lower() == b"content-length" for name, _ in message["headers"])
            self._ends_by_closing = cycle.scope["http_version"] == "1.0" and not has_length
            if self._ends_by_closing:
                cycle.chunked_encoding = False
        elif self._ends_by_closing:
            cycle.expected_content_length = len(message["body"])
        if message["type"] == "http.response.body" and not message.get("more_body") and not self._is_read:
            await self._send_and_linger(cycle, send, message)
        else:
            await send(message)

    async def _send_and_linger(self, cycle: RequestResponseCycle, send: Send, message: Any) -> None:
        cycle.keep_alive = True  # or it would be closed at once, and with it what the client has not read
        try:
            await send(message)
        finally:
            cycle.keep_alive = False

    def _head_is_late(self) -> None:
        self._timer = None
        if not self._is_answered:  # a request after this one; who waits for an answer is not cut off
            self._arm(HEAD_S, self._head_is_late)
        elif self._is_read and not self._overhead_bytes:
            self.transport.close()
        else:
            self._refuse(_too_slow("headers"))

    def _check_body(self) -> None:
        self._timer = None
        if self._is_read or self._is_answered:
            return
        if not (self.flow.read_paused or self.cycle.waiting_for_100_continue):  # else it may not send
            came = self._body_bytes - self._body_bytes_then
            self._body_s += BODY_CHECK_S
            is_late = self._body_s >= BODY_S and self._body_bytes < MIN_LONG_BODY_BYTES_PER_S * self._body_s
            if came < MIN_BODY_BYTES_PER_S * BODY_CHECK_S or is_late:
                self._refuse(_too_slow("body"))
                return
        self._body_bytes_then = self._body_bytes
        self._arm(BODY_CHECK_S, self._check_body)

    def _refuse(self, error: ApiError) -> None:
        """Answer what is not even a whole request, and end the connection."""
        self._refused = True
        self._lingering_bytes = 0
        self._disarm()
        if not self._is_answered:
            if self.cycle.response_started or self.pipeline:  # the answer to another one is under way
                self.transport.abort()
                return
            self.cycle.disconnected = True  # to the application its client is gone
            self.cycle.message_event.set()
        path = self.url.partition(b"?")[0].decode("latin-1")  # as far as it came
        body = api_of(path).error(error, "")
        phrase = {408: b"Request Timeout", 431: b"Request Header Fields Too Large"}[error.status]
        start = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\n" % (error.status, phrase)
        self.transport.write(start + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        self._arm(LINGER_S, self.transport.close)

    def _probe(self) -> None:
        """End it when a client that has ended its side does not listen either."""
        self._timer = None
        if self._is_answered or self.transport.is_closing():
            return
        own: socket.socket = self.transport.get_extra_info("socket")
        if own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
            self.transport.abort()
        else:
            self._arm(PROBE_S, self._probe)

    def _keep_asking(self) -> None:
        """Have the kernel find out where nothing may be sent: the client's own forgets in a minute."""
        own: socket.socket = self.transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            own.setsockopt(socket.IPPROTO_TCP, option, _KEEPALIVE_S)

    def _arm(self, delay_s: float, then: Any) -> None:
        self._disarm()
        self._timer = self.loop.call_later(delay_s, then)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _too_slow(part: str) -> ApiError:
    message = f"The request's {part} did not arrive in time."
    return ApiError(408, "invalid_request_error", "request_timeout", message)


def _too_large() -> ApiError:
    message = f"The request's headers exceed {MAX_HEAD_BYTES} bytes, or are more than {MAX_HEADERS}."
    return errors.invalid(message, None, status=431)
