"""The frame around every request: it runs the stages, and settles, records and answers whatever happens.

Belongs here: the order of the stages, the ways to end, and that each thing taken is let go of exactly once.
Does not: what a stage does (a module each beside this one).

The usage event is in the spool before the last bytes leave, so no client has a complete answer that is not
recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from slipway.gateway.admission.step import Step
from slipway.gateway.api import errors
from slipway.gateway.api.apis import Api
from slipway.gateway.api.asgi import ClientGone, Receive, Send
from slipway.gateway.api.errors import ApiError, UpstreamError
from slipway.gateway.api.forms import FormUpload
from slipway.gateway.api.operations import Operation
from slipway.gateway.api.usage_count import UsageCount
from slipway.gateway.request import forward, record
from slipway.gateway.request.admit import Grants
from slipway.gateway.request.parse import parse
from slipway.gateway.request.record import Recorder
from slipway.gateway.request.reply import Reply
from slipway.gateway.request.route import Routed, Router
from slipway.gateway.request.salt import Salts
from slipway.gateway.routing.upstream import Exchange, Upstreams
from slipway.gateway.usage.call import Call
from slipway.gateway.usage.spool import Room
from slipway.records.usage import NO_UNITS, Status


@dataclass(frozen=True, slots=True)
class Frame:
    """What all requests of one replica share. `steps` of admission are asked in this order."""

    router: Router
    steps: Sequence[Step]
    upstreams: Upstreams
    recorder: Recorder
    salts: Salts

    async def serve(self, operation: Operation, call: Call, receive: Receive, send: Send) -> None:
        """Answer one authenticated request, whatever comes."""
        passage = _Passage(call, send, operation.api)
        try:
            await self._run(operation, passage, receive)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, there is one way to end
            await self._end(passage, _cause(raised, receive))
        finally:
            try:
                if not passage.is_recorded:  # it was cancelled while it ended
                    await self._abandon(passage, "server_error", "gateway_shutdown")
            finally:
                passage.release(self.recorder)
                self.recorder.tell(call)

    async def _end(self, passage: _Passage, raised: BaseException) -> None:
        """End a request that did not go its way; raises what is the business of the process."""
        call = passage.call
        if isinstance(raised, ApiError):
            await self._refuse(passage, raised)
        elif isinstance(raised, ClientGone):
            await self._abandon(passage)
        elif isinstance(raised, asyncio.CancelledError) and call.disconnected:
            await self._abandon(passage)
            current = asyncio.current_task()
            if current is not None:
                current.uncancel()
        elif isinstance(raised, Exception):
            record.log_fault(call, raised)
            await self._refuse(passage, errors.internal())
        else:  # the process ends and has waited long enough
            await self._abandon(passage, "server_error", "gateway_shutdown")
            raise raised

    async def _run(self, operation: Operation, passage: _Passage, receive: Receive) -> None:
        """The way that everything goes when nothing goes wrong."""
        call, reply = passage.call, passage.reply
        asked = await parse(operation, receive, call)
        passage.routed = self.router.find(operation, call)
        route = passage.routed.route
        passage.room = self.recorder.open(call)
        passage.watch(receive)
        call.admission_began = time.perf_counter()
        await passage.grants.admit(self.steps, asked, route, call, reply)
        call.upstream_began = time.perf_counter()
        self.salts.put(asked, route, call.key.org)
        exchange = await forward.open_exchange(self.upstreams, asked, route, call)
        passage.exchange = exchange
        ending = await forward.pass_on(exchange.response, asked, route, call, reply)
        await self._record(passage, ending.status, ending.error_type)
        await reply.finish(ending.last)
        passage.is_answered = True
        await exchange.read_to_end()

    async def _refuse(self, passage: _Passage, error: ApiError) -> None:
        """End with an error, unless all of the answer has been sent."""
        if isinstance(error, UpstreamError):
            record.log_upstream_failure(passage.call, error)
        try:
            await self._record(passage, record.status_of(error), error.code or error.kind)
        except ApiError as unrecorded:
            error = unrecorded
        if not passage.is_answered:
            await passage.reply.fail(error)

    async def _abandon(
        self, passage: _Passage, status: Status = "cancelled", error_type: str = "client_disconnected"
    ) -> None:
        """End without an answer; what was streamed counts. What cannot be recorded is in the log."""
        with contextlib.suppress(ApiError):
            await self._record(passage, status, error_type)

    async def _record(self, passage: _Passage, status: Status, error_type: str | None) -> None:
        """The request's fate is known: settle what it was granted, and spool its event. Raises ApiError.

        The first fate stands. Called again after a fault, it does what is left to do.
        """
        call = passage.call
        if call.status is None:
            call.end(status, error_type)
        await passage.grants.settle(call)
        passage.leave()
        if not passage.is_recorded:
            passage.is_recorded = True
            self._spool(passage)

    def _spool(self, passage: _Passage) -> None:
        """Spool the event: without the engine's counts, where these are such that it cannot be written."""
        call, room = passage.call, passage.room
        try:
            self.recorder.record(call, room)
        except ApiError:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, the request leaves an event
            record.log_fault(call, fault)
            call.usage, call.units, call.units_by = UsageCount(), NO_UNITS, None
            self.recorder.record(call, room)


class _Passage:
    """One request on its way: what it has taken so far, and must let go of."""

    __slots__ = (
        "_watcher", "call", "exchange", "grants", "is_answered", "is_recorded", "reply", "room", "routed",
    )  # fmt: skip

    def __init__(self, call: Call, send: Send, api: Api) -> None:
        self.call = call
        self.reply = Reply(send, call, api)
        self.grants = Grants()
        self.is_recorded = False
        self.is_answered = False
        self.routed: Routed | None = None
        self.exchange: Exchange | None = None
        self.room: Room | None = None
        self._watcher: asyncio.Task[None] | None = None

    def watch(self, receive: Receive) -> None:
        """From now on this task is cancelled when the client hangs up before it is answered."""
        task = asyncio.current_task()
        assert task is not None
        self._watcher = asyncio.create_task(_watch(receive, self.call, task))

    def leave(self) -> None:
        """No longer in flight."""
        if self.routed is not None:
            self.routed.leave()

    def release(self, recorder: Recorder) -> None:
        """Let go of the watcher, the upstream, the room and the count, whatever is left of them."""
        if self._watcher is not None:
            self._watcher.cancel()
        if self.exchange is not None:
            self.exchange.close()
        if self.room is not None:
            recorder.close(self.room)
        self.leave()


def _cause(raised: BaseException, receive: Receive) -> BaseException:
    """What ended a request: where its upload broke off, its engine is not to blame."""
    if isinstance(raised, UpstreamError) and isinstance(receive, FormUpload) and receive.fault is not None:
        return receive.fault
    return raised


async def _watch(receive: Receive, call: Call, request: asyncio.Task[None]) -> None:
    """Cancel the request when its client hangs up before it is answered."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if call.status is None:
        call.disconnected = True
        request.cancel()
