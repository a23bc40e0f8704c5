"""`python -m slipway.engines.standalone --port=8000 '<args as JSON>'`: an engine as a process of its own.

Belongs here: one replica's life in a plain pod: load, listen, answer probes and scalers, drain at SIGTERM.
Does not: what it answers tenants (frontend.py), the same in Ray (hosting.py).

It listens once the engine has loaded, so a probe that gets an answer means that requests do, too.
"""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import orjson

from slipway.artifacts.errors import ArtifactError
from slipway.engines import hosting
from slipway.engines.errors import EngineRefusedError
from slipway.engines.frontend import Frontend
from slipway.environment import MissingSettingError
from slipway.objectstore import ObjectStoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

_METRICS = """\
# HELP slipway_engine_requests_in_flight Requests that this replica has and has not answered.
# TYPE slipway_engine_requests_in_flight gauge
slipway_engine_requests_in_flight {ongoing}
# HELP slipway_engine_requests_waiting Those among them for which the engine has no slot.
# TYPE slipway_engine_requests_waiting gauge
slipway_engine_requests_waiting {waiting}
"""


@dataclass
class Load:
    """Requests of one replica; `slots` are answered at the same time."""

    slots: int
    ongoing: int = 0

    @property
    def waiting(self) -> int:
        """Requests beyond the engine's slots."""
        return max(self.ongoing - self.slots, 0)


class Application:
    """The ASGI application of one replica."""

    def __init__(self, frontend: Frontend, load: Load) -> None:
        self._frontend = frontend
        self._load = load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; one for the engine counts until its last byte."""
        from starlette.requests import Request

        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        own = await self._own(request)
        if own is not None:
            await own(scope, receive, send)
            return
        counted = scope["path"] in self._frontend.paths
        self._load.ongoing += counted
        try:
            response = await self._frontend.answer(request)
            await response(scope, receive, send)
        finally:
            self._load.ongoing -= counted

    async def _own(self, request: Request) -> Response | None:
        """What the frontend does not answer: for the kubelet, KEDA and Prometheus."""
        from starlette.responses import Response

        path, load = request.scope["path"], self._load
        if path == "/health":
            return Response(status_code=200 if await self._frontend.is_alive(timeout_s=3) else 503)
        if path == "/-/load":
            counts = orjson.dumps({"ongoing": load.ongoing, "waiting": load.waiting})
            return Response(counts, media_type="application/json")
        if path == "/metrics":
            text = _METRICS.format(ongoing=load.ongoing, waiting=load.waiting)
            return Response(text, media_type="text/plain; version=0.0.4")
        return None


@click.command()
@click.option("--host", default="0.0.0.0", help="Address to listen on.")  # noqa: S104 (a pod has its own)
@click.option("--port", default=8000, help="Port to listen on.")
@click.option("--drain-s", default=30, help="Longest wait for requests in flight after SIGTERM, in seconds.")
@click.argument("args")
def main(host: str, port: int, drain_s: int, args: str) -> None:
    """Serve the model that ARGS names (JSON of slipway.engines.hosting.Args) until SIGTERM."""
    wanted = hosting.Args.model_validate_json(args)
    try:
        hosted = hosting.engine_module(wanted.server).load(wanted, socket.gethostname())
    except (EngineRefusedError, ArtifactError, ObjectStoreError, MissingSettingError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from error
    click.echo(f"{wanted.served_name} ({wanted.spec_digest[:8]}) serves on {host}:{port}", err=True)
    try:
        _serve(Application(hosted.frontend, Load(hosted.slots)), host, port, drain_s)
    finally:
        hosted.close()


def _serve(application: Any, host: str, port: int, drain_s: int) -> None:
    import uvicorn

    # uvicorn raises the signal again when it has drained; by then an ordinary end is what is left.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.run(
        application,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=drain_s,
    )


if __name__ == "__main__":
    main()
