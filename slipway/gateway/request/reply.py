"""The answer to one request as far as it has gone: whole, streamed, or an error in either.

Belongs here: that an answer begins once, and that an error fits to what has been sent.
Does not: bytes on the wire (slipway.gateway.api.asgi), what is answered (the stages).
"""

from __future__ import annotations

from slipway.gateway.api import asgi
from slipway.gateway.api.apis import Api
from slipway.gateway.api.asgi import Send
from slipway.gateway.api.errors import ApiError, Header
from slipway.gateway.usage.call import Call


class Reply:
    """What the client has been sent. Parts of a stream that has begun go straight to `send`."""

    __slots__ = ("_api", "_begun", "_call", "_is_raw", "headers", "send")

    def __init__(self, send: Send, call: Call, api: Api) -> None:
        self.send = send
        self.headers: tuple[Header, ...] = ((b"x-request-id", call.request_id.encode()),)
        self._call = call
        self._api = api
        self._begun = self._is_raw = False

    async def begin_stream(self) -> None:
        """Send status and headers of a stream of events."""
        self._begin(200)
        await asgi.start(self.send, 200, (*asgi.EVENT_STREAM, *self.headers))

    async def begin_raw(self, content_type: bytes, length: int | None) -> None:
        """Send status and headers of an answer of another kind, whose pieces go on as they come."""
        self._begin(200)
        self._is_raw = True
        headers: tuple[Header, ...] = ((b"content-type", content_type),)
        if length is not None:
            headers += ((b"content-length", b"%d" % length),)
        await asgi.start(self.send, 200, (*headers, *self.headers))

    async def finish(self, last: bytes) -> None:
        """Send what was held back until the request was recorded: a whole answer, or the end of a stream."""
        if self._begun:
            await asgi.send_last(self.send, last)
            return
        self._begin(200)
        await asgi.answer(self.send, 200, last, self.headers)

    async def fail(self, error: ApiError) -> None:
        """End with an error, as an answer of its own or, in a stream that has begun, as its last event."""
        if self._is_raw:
            return  # it is left unfinished, and the connection cut (slipway.gateway.protocol)
        if self._begun:
            await asgi.send_last(self.send, self._api.error_event(error, self._call.request_id))
            return
        self._begin(error.status)
        own = {name for name, _ in error.headers}
        kept = tuple(header for header in self.headers if header[0] not in own)
        body = self._api.error(error, self._call.request_id)
        await asgi.answer(self.send, error.status, body, (*kept, *error.headers))

    def _begin(self, http_status: int) -> None:
        self._call.http_status = http_status
        self._begun = True
