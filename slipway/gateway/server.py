"""One gateway replica as a process: put together, served by uvicorn, drained and shipped at the end.

Belongs here: start order, signals, stop order. Does not: what any part does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import uvicorn

from slipway.gateway import daemon
from slipway.gateway.admin.administration import Administration
from slipway.gateway.admin.asked import Room
from slipway.gateway.admin.usage.reader import UsageReader
from slipway.gateway.admission.auth import KeyFollower
from slipway.gateway.admission.key_copy import KeyCopy
from slipway.gateway.admission.limits import MemoryLimiter
from slipway.gateway.admission.rate_limits import RateLimits
from slipway.gateway.api.forms import MAX_SPOOLED_BYTES
from slipway.gateway.api.uploads import BodyMemory
from slipway.gateway.app import Gateway
from slipway.gateway.cors import Cors
from slipway.gateway.jobs import jobs
from slipway.gateway.monitoring import Monitoring
from slipway.gateway.operator import Operator
from slipway.gateway.protocol import BoundedProtocol
from slipway.gateway.request.frame import Frame
from slipway.gateway.request.record import Recorder
from slipway.gateway.request.route import Router
from slipway.gateway.request.salt import Salts
from slipway.gateway.routing.in_flight import Gauge
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.gateway.routing.upstream import Upstreams
from slipway.gateway.settings import GatewaySettings
from slipway.gateway.telemetry import log
from slipway.gateway.telemetry.metrics import Now
from slipway.gateway.telemetry.request_metrics import RequestMetrics
from slipway.gateway.telemetry.traces import Traces, TracesNotTakenError
from slipway.gateway.usage.heart import Heart
from slipway.gateway.usage.last_shipment import ship_until
from slipway.gateway.usage.shipper import Shipper
from slipway.gateway.usage.spool import Spool
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.tenants.database import TenantsDatabase, TenantsDatabaseError

_ROUTES_CACHE = "routes.cached.json"
_KEYS_COPY = "keys.cached"
_USAGE_CACHE = "usage.cached"
# Of the time to stop in; what is left of it is for the process itself.
_LONGEST_MARGIN_S = 5.0
_BACKLOG = 2_048
_METRICS_DRAIN_S = 1


class PortTakenError(OSError):
    """The address to listen on cannot be had."""


class Replica:
    """The parts of one replica. Constructing it takes the port and the spool and reads the cached routes."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._listener = _listen(settings.host, settings.port, "")
        self._metrics_listener = None
        if settings.metrics_port is not None:
            host, port = settings.metrics_host, settings.metrics_port
            self._metrics_listener = _listen(host, port, "METRICS_")
        store = self._store = ObjectStore(settings.s3)
        self._spool = Spool(settings.spool_dir, settings.replica)
        self._shipper = Shipper(self._spool, store)
        self._heart = Heart(settings.replica, store)
        database = TenantsDatabase(settings.tenants_db_url)
        copy = KeyCopy(settings.spool_dir / _KEYS_COPY, settings.token, database.name)
        self._keys = KeyFollower(database, copy)
        # By connections of their own: what they wait for does not hold up reading keys.
        self._changed_database = TenantsDatabase(settings.tenants_db_url)
        self._note_uses = self._keys.uses.noting(self._changed_database)
        self._routes = RouteFollower(store, settings.spool_dir / _ROUTES_CACHE, settings.endpoint)
        self._traces = Traces(settings.replica) if settings.sampling is not None else None
        self._threads = jobs(
            settings,
            keys=self._keys,
            routes=self._routes,
            shipper=self._shipper,
            heart=self._heart,
            note_uses=self._note_uses,
            traces_to_send=self._traces,
        )

    async def serve(self) -> int:
        """Serve until SIGTERM or SIGINT, let requests end, ship what is spooled.

        While the store is away shipping is tried again until the time to stop in is over. Returns how many
        events stay in the spool.
        """
        settings, in_flight, upstreams = self._settings, Gauge(), Upstreams()
        limiter, requests = MemoryLimiter(), RequestMetrics()
        frame = Frame(
            router=Router(self._routes, in_flight),
            steps=(RateLimits(limiter),),
            upstreams=upstreams,
            recorder=Recorder(
                settings.replica, self._spool, metrics=requests, traces=self._traces, heart=self._heart
            ),
            salts=Salts(settings.token),
        )
        operator = Operator(
            replica=settings.replica,
            token=settings.token,
            keys=self._keys,
            routes=self._routes,
            in_flight=in_flight,
            reserved_tokens=lambda: limiter.held_tokens,
            spool=self._spool,
            shipper=self._shipper,
            jobs=self._threads,
            draining=lambda: server.should_exit,
        )
        memory = BodyMemory(settings.bodies_bytes)
        disk = BodyMemory(settings.uploads_bytes, largest_bytes=MAX_SPOOLED_BYTES)
        gateway = Gateway(
            self._keys,
            self._routes,
            frame,
            operator,
            memory,
            disk,
            self._administration(),
            metrics=requests,
            sampling=settings.sampling,
        )
        app = Cors(gateway, settings.cors_origins) if settings.cors_origins else gateway
        server = _Server(_uvicorn_config(app, settings.drain_s))
        monitoring = Monitoring(requests, lambda: self._now(in_flight))
        for thread in self._threads:
            thread.start()
        log.write("info", "gateway starts", replica=settings.replica, host=settings.host, port=settings.port)
        with server.told_by_signals():
            async with _serving(monitoring, self._metrics_listener):
                try:
                    await server.serve(sockets=[self._listener])
                finally:
                    await upstreams.close()
                    await self._end(server)
        return self._spool.events

    def _now(self, in_flight: Gauge) -> Now:
        return Now(
            in_flight=in_flight.counts(),
            spooled_events=self._spool.events,
            job_ages_s={job.name: job.state().age_s for job in self._threads},
            dropped_lines=log.dropped(),
            dropped_traces=self._traces.dropped if self._traces is not None else 0,
        )

    def _administration(self) -> Administration:
        settings = self._settings
        usage = UsageReader(self._store, settings.spool_dir / _USAGE_CACHE)
        room = Room(self._changed_database, usage, lambda: self._routes.table)
        return Administration(self._keys.authenticate_admin, room, daemon.call)

    async def _end(self, server: _Server) -> None:
        settings = self._settings
        margin_s = min(_LONGEST_MARGIN_S, (settings.stop_s - settings.drain_s) / 2)
        deadline = (server.told_at or time.monotonic()) + settings.stop_s - margin_s

        def end() -> None:
            for thread in self._threads:
                thread.stop(timeout_s=1)
            ship_until(self._shipper, deadline, server.hurry)
            with contextlib.suppress(ObjectStoreError):  # it is missed as one that was killed is
                self._heart.beat()
            with contextlib.suppress(TenantsDatabaseError):
                self._note_uses()

        # A store that does not answer at all is left behind with its thread, and so is a collector.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - time.monotonic()) + margin_s / 2):
                await daemon.call(end, name="end")
        if self._traces is not None:
            with contextlib.suppress(TimeoutError, TracesNotTakenError):
                async with asyncio.timeout(margin_s / 4):
                    await daemon.call(self._traces.send, name="last traces")
        if self._spool.events == 0:
            log.write("info", "gateway ends", replica=settings.replica, spooled_events=0)
            return
        log.write(
            "error",
            "gateway ends with usage that is not shipped. Start one with this spool: it ships it",
            replica=settings.replica,
            spooled_events=self._spool.events,
            spool=str(settings.spool_dir),
        )


class _Server(uvicorn.Server):
    """uvicorn without its habit of raising the signal again after serving, which would skip our own end.

    `told_at`: when the first signal came (of the monotonic clock). `hurry`: a second SIGINT came.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told_at: float | None = None
        self.hurry = threading.Event()

    @contextlib.contextmanager
    def told_by_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT begin the end, and keep them from cutting it short."""
        loop = asyncio.get_running_loop()
        handled = (signal.SIGTERM, signal.SIGINT)
        for number in handled:
            loop.add_signal_handler(number, self._told, number)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)

    def _told(self, number: signal.Signals) -> None:
        if self.told_at is not None and number == signal.SIGINT:
            self.hurry.set()
        self.told_at = self.told_at or time.monotonic()
        self.handle_exit(number, None)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: signals are told_by_signals's, for longer than uvicorn serves."""
        yield


@contextlib.asynccontextmanager
async def _serving(monitoring: Monitoring, listener: socket.socket | None) -> AsyncIterator[None]:
    """Metrics are answered until the end, if anybody is to read them."""
    if listener is None:
        yield
        return
    server = _Server(_uvicorn_config(monitoring, _METRICS_DRAIN_S))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        with contextlib.suppress(Exception):
            await serving


def _listen(host: str, port: int, which: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise PortTakenError(
            f"{host}:{port}: cannot listen: {error.strerror}. Stop what listens there, or set "
            f"SLIPWAY_GATEWAY_{which}HOST and SLIPWAY_GATEWAY_{which}PORT."
        ) from error


def _uvicorn_config(app: Gateway | Cors | Monitoring, drain_s: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=round(drain_s),
    )
