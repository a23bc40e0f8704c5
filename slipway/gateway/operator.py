"""The operator's endpoints: health, readiness; with the operator's token status and shipping.

Belongs here: what a rollout, a probe or a supervisor asks a replica.
Does not: anything for tenants; no tenant's key opens these. Metrics: they have a port (monitoring.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import orjson

from slipway.gateway import daemon
from slipway.gateway.admission.auth import KeyFollower, is_operator
from slipway.gateway.api import asgi, errors
from slipway.gateway.api.asgi import Scope, Send
from slipway.gateway.api.errors import ApiError
from slipway.gateway.periodic import Periodic
from slipway.gateway.routing.in_flight import Gauge
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.gateway.telemetry import log
from slipway.gateway.usage.shipper import Shipper
from slipway.gateway.usage.spool import Spool
from slipway.objectstore import ObjectStoreError

# What vLLM's own clients ask an endpoint before they use it (guidellm does): the same answer as `/-/health`.
HEALTH = "/health"


class Operator:
    """One replica's operator endpoints."""

    def __init__(
        self,
        replica: str,
        token: str,
        keys: KeyFollower,
        routes: RouteFollower,
        in_flight: Gauge,
        reserved_tokens: Callable[[], int],
        spool: Spool,
        shipper: Shipper,
        jobs: Sequence[Periodic],
        draining: Callable[[], bool],
    ) -> None:
        self._replica = replica
        self._token = token
        self._keys = keys
        self._routes = routes
        self._in_flight = in_flight
        self._reserved_tokens = reserved_tokens
        self._spool = spool
        self._shipper = shipper
        self._jobs = jobs
        self._draining = draining

    async def serve(self, scope: Scope, send: Send) -> None:
        """Answer one request under `/-/`, or for HEALTH. Raises ApiError."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]  # the server sends no body then
        endpoint = (method, scope["path"])
        if endpoint in (("GET", "/-/health"), ("GET", HEALTH)):
            await asgi.answer(send, 200, orjson.dumps({"status": "alive"}))
        elif endpoint == ("GET", "/-/ready"):
            await self._ready(send)
        elif not is_operator(scope["headers"], self._token):
            raise ApiError(401, "invalid_request_error", "unauthorized", "This needs the operator's token.")
        elif endpoint == ("GET", "/-/status"):
            await asgi.answer(send, 200, orjson.dumps(self._status()))
        elif endpoint == ("POST", "/-/ship"):
            await self._ship(send)
        else:
            raise errors.not_found(scope["path"])

    async def _ready(self, send: Send) -> None:
        waiting = [
            reason
            for reason, holds in (
                ("draining", self._draining()),
                ("API keys not read yet", not self._keys.loaded),
                ("route table not read yet", not self._routes.loaded),
            )
            if holds
        ]
        jobs = [job.state() for job in self._jobs]
        waiting += [job.trouble for job in jobs if job.trouble is not None]
        ages = {job.name: round(job.age_s, 3) for job in jobs}
        stale = [f"{job.name}: last done {job.age_s:.0f} s ago" for job in jobs if job.outage]
        if self._keys.copied_at is not None:
            stale.append(
                f"API keys: as this replica last read them, {self._keys.copied_at:%Y-%m-%dT%H:%M:%SZ}"
            )
        body = {
            "ready": not waiting,
            "waiting_for": waiting,
            "served_from_memory": stale,  # a server is away; why is in the log and in /-/status
            "last_done_s_ago": ages,
        }
        await asgi.answer(send, 503 if waiting else 200, orjson.dumps(body))

    def _status(self) -> dict[str, object]:
        return {
            "replica": self._replica,
            "routes_number": self._routes.number,
            "routes_version": self._routes.table.version,
            "routes_refused": self._routes.refused,
            "models": len(self._routes.table.routes),
            "in_flight": self._in_flight.counts(),
            "reserved_tokens": self._reserved_tokens(),
            "spooled_events": self._spool.events,
            "jobs": [asdict(job.state()) for job in self._jobs],
            "log_lines_dropped": log.dropped(),
            "draining": self._draining(),
        }

    async def _ship(self, send: Send) -> None:
        try:
            shipped = await daemon.call(self._shipper.ship, name="ship as asked")
        except ObjectStoreError as error:
            log.write("warning", "shipping fails", error=str(error))
            raise ApiError(503, "server_error", "not_shipped", str(error)) from error
        await asgi.answer(send, 200, orjson.dumps(asdict(shipped)))
