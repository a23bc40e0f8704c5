"""One tenant request from body to last byte: check, route, reserve, forward, record.

Belongs here: the order of things, and what is recorded at each way to end.
Does not: what each thing is (bodies, routes, limits, upstream, stream, spool: a module each).

The usage event is in the spool before the last bytes leave, so no client has a complete answer that is not
recorded.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import aiohttp
import orjson

from slipway.gateway.admission import estimate, limit_headers
from slipway.gateway.admission.limits import Bound, Denied, Limiter, Reservation, bounds_of
from slipway.gateway.api import asgi, bodies, errors, stream
from slipway.gateway.api.asgi import ClientGone, Receive, Send
from slipway.gateway.api.errors import ApiError, Header, UpstreamError
from slipway.gateway.api.operations import Operation
from slipway.gateway.routing import upstream
from slipway.gateway.routing.in_flight import Gauge
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.gateway.routing.upstream import Exchange, Upstreams
from slipway.gateway.telemetry import log
from slipway.gateway.usage.call import Call
from slipway.gateway.usage.spool import Spool, SpoolError
from slipway.records.routes import Route
from slipway.records.usage import Status

_DRAIN_S = 1.0


@dataclass(slots=True)
class Proxy:
    """What all requests of one replica share."""

    replica: str
    routes: RouteFollower
    limiter: Limiter
    allowance: estimate.TemplateAllowance
    in_flight: Gauge
    upstreams: Upstreams
    spool: Spool

    async def serve(self, operation: Operation, call: Call, receive: Receive, send: Send) -> None:
        """Answer one authenticated request, whatever comes."""
        request = _Request(self, operation, call, send)
        try:
            await request.run(receive)
        except ApiError as error:
            await request.refuse(error)
        except ClientGone:
            await request.abandon()
        except asyncio.CancelledError:
            if not call.disconnected:  # the process ends and has waited long enough
                await request.abandon("server_error", "gateway_shutdown")
                raise
            await request.abandon()
            current = asyncio.current_task()
            if current is not None:
                current.uncancel()
        finally:
            request.release()
            log.write("info", "request", **call.log_fields())


class _Request:
    """The state of one request on its way through."""

    def __init__(self, proxy: Proxy, operation: Operation, call: Call, send: Send) -> None:
        self._proxy = proxy
        self._operation = operation
        self._call = call
        self._send = send
        self._headers: tuple[Header, ...] = ((b"x-request-id", call.request_id.encode()),)
        self._route: Route | None = None
        self._serving: str | None = None
        self._reservation: Reservation | None = None
        self._prompt_bound = 0
        self._exchange: Exchange | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._started = False

    async def run(self, receive: Receive) -> None:
        """The way that everything goes when nothing goes wrong."""
        call = self._call
        body = bodies.parse(await asgi.read_body(receive))
        call.model = bodies.model_of(body)
        self._operation.check(body)
        call.stream = body.get("stream") is True
        route = self._find_route()
        await self._reserve(route, body)
        task = asyncio.current_task()
        assert task is not None
        self._watcher = asyncio.create_task(_watch(receive, call, task))
        wants = stream.Wants(bodies.wants_usage(body), body.get("timings_per_token") is True)
        several = len(bodies.prompts_of(body)) > 1
        self._exchange = await self._proxy.upstreams.open(
            route, self._operation.path, _payload(body, route), call
        )
        response = self._exchange.response
        if response.status != 200:
            raise await upstream.refusal(response, route)
        if call.stream and response.content_type == "text/event-stream":
            editor = stream.StreamEditor(route.model, wants, several_prompts=several)
            await self._stream(response, editor, route)
        else:
            await self._whole(response, route)

    def _find_route(self) -> Route:
        """The route, already counted as in flight: between looking up and counting nothing else runs."""
        call = self._call
        route = self._proxy.routes.table.visible(call.model, call.key.org)
        if route is None:
            raise errors.model_not_found(call.model)
        call.deployment = route.deployment
        call.task = route.task
        if route.task != self._operation.task:
            raise errors.wrong_task(route.model, route.task, call.path)
        self._route = route
        self._serving = route.serving
        self._proxy.in_flight.enter(route.serving)
        return route

    async def _reserve(self, route: Route, body: bodies.Body) -> None:
        """Take what the request may use from every limit, or refuse it."""
        key = self._call.key
        bounds = bounds_of(route.limits, route.deployment, key.org, key.user, key.id)
        if bounds:
            await self._take(route, body, bounds)

    async def _take(self, route: Route, body: bodies.Body, bounds: tuple[Bound, ...]) -> None:
        allowance = self._proxy.allowance.of(route.deployment)
        demand = estimate.demand_of(body, bounds, allowance) or estimate.Demand(0, 0, 0)
        verdict = await self._proxy.limiter.reserve(
            bounds, demand.prompt, demand.least_output, demand.most_output, time.monotonic()
        )
        if isinstance(verdict, Denied):
            raise limit_headers.rate_limited(route.model, verdict)
        self._reservation = verdict
        self._headers += limit_headers.headers(verdict.standings)
        if demand.prompt:
            self._prompt_bound = demand.prompt
            estimate.bind(body, verdict.output_tokens)

    async def _whole(self, response: aiohttp.ClientResponse, route: Route) -> None:
        """An answer in one piece."""
        try:
            body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise upstream.explained(error, route) from error
        edited = stream.edit_whole(body, route.model)
        if edited is None:
            raise errors.failed(route.model, f"not JSON: {body[:200].decode(errors='replace')}")
        answer, self._call.usage = edited
        await self._record("success", None)
        self._call.http_status = 200
        self._started = True
        await asgi.answer(self._send, 200, answer, self._headers)

    async def _stream(
        self, response: aiohttp.ClientResponse, editor: stream.StreamEditor, route: Route
    ) -> None:
        """A streamed answer: each piece goes on as it comes."""
        call, send, content = self._call, self._send, response.content
        call.usage = editor.usage
        call.http_status = 200
        self._started = True
        await asgi.start(send, 200, (*asgi.EVENT_STREAM, *self._headers))
        try:
            while not editor.done:
                data = await content.readany()
                if not data:
                    break
                out = editor.feed(data)
                if out:
                    await asgi.send_part(send, out)
                    if editor.tokens:
                        call.note_token()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise upstream.explained(error, route) from error
        if editor.error is not None:
            await self._record("server_error", str(editor.error.get("type") or "upstream_error"))
        elif not (editor.done or editor.finished):
            raise errors.unreachable(route.model, "the answer ended before it was complete")
        else:
            await self._record("success", None)
        await asgi.send_last(send, b"data: [DONE]\n\n")
        await _drain(content)

    async def refuse(self, error: ApiError) -> None:
        """End with an error, as an answer of its own or, in a stream that has begun, as its last event."""
        if isinstance(error, UpstreamError):
            log.write(
                "warning", "upstream failed", request_id=self._call.request_id,
                model=self._call.model, deployment=self._call.deployment, cause=error.cause,
            )  # fmt: skip
        if self._call.status is None:
            try:
                await self._record(_status_of(error), error.code or error.kind)
            except ApiError as unrecorded:
                error = unrecorded
        if self._started:
            await asgi.send_last(self._send, b"data: " + error.body() + b"\n\n")
            return
        self._call.http_status = error.status
        self._started = True
        own = {name for name, _ in error.headers}
        kept = tuple(header for header in self._headers if header[0] not in own)
        await asgi.answer(self._send, error.status, error.body(), (*kept, *error.headers))

    async def abandon(self, status: Status = "cancelled", error_type: str | None = None) -> None:
        """End without an answer; what was streamed counts."""
        if self._call.status is None:
            try:
                await self._record(status, error_type or "client_disconnected")
            except ApiError as error:
                log.write("error", "usage not recorded", request_id=self._call.request_id, error=str(error))

    def release(self) -> None:
        """Let go of the upstream, the watcher and the count; harmless twice."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None
        self._leave()

    async def _record(self, status: Status, error_type: str | None) -> None:
        """Settle the limits and spool the event. Raises ApiError when it cannot be spooled."""
        call = self._call
        call.end(status, error_type)
        await self._settle()
        self._leave()
        try:
            self._proxy.spool.append(call.event(self._proxy.replica).encode())
        except SpoolError as error:
            log.write("error", "usage not recorded", request_id=call.request_id, error=str(error))
            raise errors.not_recorded() from error

    async def _settle(self) -> None:
        """Replace the reservation by what was used. What failed costs nothing, unless it streamed before."""
        call, reservation = self._call, self._reservation
        if reservation is None:
            return
        now = time.monotonic()
        reported, _, output = call.usage.totals()
        if self._prompt_bound:
            self._proxy.allowance.learn(call.deployment, self._prompt_bound, reported)
        if call.status == "client_error" or (call.status == "server_error" and not output):
            await self._proxy.limiter.refund(reservation, now, request=call.status == "server_error")
        else:
            # Without the engine's count (the client hung up) the prompt's bound stands.
            await self._proxy.limiter.settle(reservation, (reported or self._prompt_bound) + output, now)

    def _leave(self) -> None:
        if self._serving is not None:
            self._proxy.in_flight.leave(self._serving)
            self._serving = None


async def _watch(receive: Receive, call: Call, request: asyncio.Task[None]) -> None:
    """Cancel the request when its client hangs up before it is answered."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if call.status is None:
        call.disconnected = True
        request.cancel()


async def _drain(content: aiohttp.StreamReader) -> None:
    """Read an answer to its end after [DONE], so that its connection can be used again."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            while await content.readany():
                pass
    except (aiohttp.ClientError, TimeoutError):
        return


def _payload(body: bodies.Body, route: Route) -> bytes:
    """The body for the engine: its name of the model, and usage in every stream."""
    body["model"] = route.upstream_model
    if body.get("stream") is True:
        options = body.get("stream_options") or {}
        # The second is vLLM's: usage as it goes, for clients that hang up. Others ignore it.
        body["stream_options"] = {"continuous_usage_stats": True, **options, "include_usage": True}
    return orjson.dumps(body)


def _status_of(error: ApiError) -> Status:
    if error.status == 429:
        return "limited"
    return "server_error" if error.status >= 500 else "client_error"
