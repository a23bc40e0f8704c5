"""The fourth stage: the request goes to an engine, and its answer to the client, all but the last bytes.

Belongs here: the body for the engine, an answer in one piece, a stream whose pieces go on as they come.
Does not: connections and retries (slipway.gateway.routing.upstream), what is changed in an answer
(slipway.gateway.api.answers), the last bytes: they wait until the request is recorded (frame.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import aiohttp
import orjson
from aiohttp.abc import AbstractStreamWriter

from slipway.gateway.api import asgi, errors
from slipway.gateway.api.answers import Editor, Wants
from slipway.gateway.api.events import AnswerError
from slipway.gateway.api.usage_count import UsageCount
from slipway.gateway.request.parse import Asked
from slipway.gateway.request.reply import Reply
from slipway.gateway.routing import upstream
from slipway.gateway.routing.upstream import Exchange, Upstreams
from slipway.gateway.usage.call import Call, Most
from slipway.records.routes import Route
from slipway.records.usage import Status


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ends: what is recorded of it, and the bytes that are sent only after that."""

    status: Status
    error_type: str | None
    last: bytes


async def open_exchange(upstreams: Upstreams, asked: Asked, route: Route, call: Call) -> Exchange:
    """Send the request to an engine of the route; its answer begins. Raises ApiError."""
    payload = _payload(asked, route)
    call.most = lambda: _most(asked)
    call.units = asked.operation.units(asked.body)
    return await upstreams.open(route, asked.operation.at_engine, _HandedOver(payload, call), call)


async def pass_on(
    response: aiohttp.ClientResponse, asked: Asked, route: Route, call: Call, reply: Reply
) -> Ending:
    """Bring the engine's answer to the client. Raises ApiError for an answer that is none."""
    if response.status != 200:
        raise await upstream.refusal(response, route, asked.operation, call.path)
    edits = asked.operation.answers.editor
    if edits is not None and call.stream and response.content_type == "text/event-stream":
        return await _pass_on_stream(edits, response, asked, route, call, reply)
    return await _whole(response, asked, route, call)


async def _whole(response: aiohttp.ClientResponse, asked: Asked, route: Route, call: Call) -> Ending:
    """An answer in one piece."""
    try:
        body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise upstream.explained(error, route) from error
    try:
        whole = asked.operation.answers.whole(body, route.model)
    except AnswerError as error:
        raise errors.failed(route.model, str(error)) from error
    if whole is None:
        raise errors.failed(route.model, f"not JSON: {body[:200].decode(errors='replace')}")
    call.usage = whole.usage
    if whole.units:
        call.units = replace(call.units, **whole.units)
    return Ending("success", None, whole.body)


async def _pass_on_stream(
    edits: Callable[[str, Wants, UsageCount], Editor],
    response: aiohttp.ClientResponse,
    asked: Asked,
    route: Route,
    call: Call,
    reply: Reply,
) -> Ending:
    """A streamed answer: each piece goes on as it comes."""
    per_prompt = asked.body.get("n")
    call.usage = UsageCount(
        several_prompts=asked.several_prompts,
        per_prompt=per_prompt if isinstance(per_prompt, int) else 1,
    )
    editor = edits(route.model, asked.wants, call.usage)
    await reply.begin_stream()
    send, content, silence = reply.send, response.content, _Silence(response, route.timeout_s)
    try:
        while not editor.done:
            silence.begins()
            data = await content.readany()
            silence.ends()
            out = editor.feed(data) if data else editor.end()
            if out:
                await asgi.send_part(send, out)
                if editor.tokens:
                    call.note_token()
            if not data:
                break
    except (aiohttp.ClientError, TimeoutError) as error:
        raise upstream.explained(error, route) from error
    except AnswerError as error:
        raise errors.failed(route.model, str(error)) from error
    finally:
        silence.stop()
    return _ending(editor, route)


def _ending(editor: Editor, route: Route) -> Ending:
    """How a stream ended that was read to its end. Raises ApiError when it broke off."""
    if editor.error is not None:
        return Ending("server_error", editor.error, editor.last)
    if not (editor.done or editor.finished):
        raise errors.unreachable(route.model, "the answer ended before it was complete")
    return Ending("success", None, editor.last)


class _Silence:
    """Breaks off a stream whose engine says nothing for too long: one timer for all of it.

    aiohttp's own starts anew with each piece. Only the time that is waited for the engine counts, not that in
    which the client takes nothing.
    """

    __slots__ = ("_content", "_limit_s", "_loop", "_since", "_timer")

    def __init__(self, response: aiohttp.ClientResponse, limit_s: float) -> None:
        if response.connection is not None and response.connection.protocol is not None:
            response.connection.protocol.read_timeout = None
        self._content = response.content
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer = self._loop.call_later(limit_s, self._look)

    def begins(self) -> None:
        """From now on the engine is waited for."""
        self._since = self._loop.time()

    def ends(self) -> None:
        """It said something."""
        self._since = None

    def stop(self) -> None:
        """The stream is over."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if self._since is None:
            self._timer = self._loop.call_later(self._limit_s / 4, self._look)
        elif now < self._since + self._limit_s:
            self._timer = self._loop.call_at(self._since + self._limit_s, self._look)
        else:
            self._content.set_exception(aiohttp.SocketTimeoutError("the engine is silent"))


class _HandedOver(aiohttp.BytesPayload):
    """A request's body, which notes when an engine has been sent all of it."""

    def __init__(self, body: bytes, call: Call) -> None:
        super().__init__(body, content_type="application/json")
        self._call = call

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """As the base class does."""
        await super().write_with_length(writer, content_length)
        self._call.hand_over()


def _most(asked: Asked) -> Most:
    """What the request can have used at most."""
    body, reads = asked.body, asked.operation.reads
    output = reads.output_asked(body)
    return Most(
        reads.template_tokens + reads.bound(body), None if output is None else output * reads.answers(body)
    )


def _payload(asked: Asked, route: Route) -> bytes:
    """The body for the engine: its name of the model, and what makes it say what was used."""
    body = asked.body
    body["model"] = route.upstream_model
    asked.operation.answers.ask(body)
    return orjson.dumps(body)
