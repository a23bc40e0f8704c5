"""What monitoring reads of a replica: `GET /metrics`, on a port of its own that tenants do not reach.

Belongs here: that one path, and gathering what it says. Does not: names and text
(slipway.gateway.telemetry.metrics), what operators and probes ask (operator.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from slipway.gateway import daemon
from slipway.gateway.api import asgi, errors
from slipway.gateway.api.asgi import Receive, Scope, Send
from slipway.gateway.telemetry import metrics
from slipway.gateway.telemetry.metrics import Now
from slipway.gateway.telemetry.request_metrics import RequestMetrics

_PATH = "/metrics"


class Monitoring:
    """The application on that port."""

    def __init__(self, requests: RequestMetrics, now: Callable[[], Now]) -> None:
        self._requests = requests
        self._now = now
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the text is made by another thread, one at a time, while tenants are served."""
        if scope["type"] != "http":
            return
        if scope["path"] != _PATH:
            error = errors.not_found(scope["path"])
        elif scope["method"] not in {"GET", "HEAD"}:
            error = errors.method_not_allowed(scope["method"], _PATH, "GET")
        else:
            async with self._turn:
                now = self._now()
                text = await daemon.call(lambda: metrics.exposition(now, self._requests), name="metrics")
            await asgi.answer(send, 200, text, content_type=metrics.CONTENT_TYPE)
            return
        await asgi.answer(send, error.status, error.body(), error.headers)
