"""The gateway's ASGI application: which path is answered by what.

Belongs here: dispatch, authentication at the door, the list of models.
Does not: requests to models (slipway.gateway.request), operator endpoints (operator.py),
administration (slipway.gateway.admin).
"""

from __future__ import annotations

import time

import orjson

from slipway.gateway.admin.administration import Administration
from slipway.gateway.admin.calls import is_administration
from slipway.gateway.admission.auth import KeyFollower, permits
from slipway.gateway.api import asgi, errors, responses
from slipway.gateway.api.asgi import Receive, Scope, Send
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.forms import FormUpload
from slipway.gateway.api.operations import OPERATIONS, api_of
from slipway.gateway.api.uploads import BodyMemory, Upload
from slipway.gateway.operator import HEALTH, Operator
from slipway.gateway.request.frame import Frame
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.gateway.telemetry import log, trace_context
from slipway.gateway.telemetry.request_metrics import RequestMetrics
from slipway.gateway.telemetry.trace_context import Sampling
from slipway.gateway.usage.call import Call
from slipway.tenants.database import KeyRecord

_MODELS = "/v1/models"
_OPERATOR = "/-/"
# OpenAI's clients need one. The table's own time would move with what other organizations' models do.
_CREATED = 0


class Gateway:
    """One replica's application."""

    def __init__(
        self,
        keys: KeyFollower,
        routes: RouteFollower,
        frame: Frame,
        operator: Operator,
        memory: BodyMemory,
        disk: BodyMemory,
        administration: Administration,
        *,
        metrics: RequestMetrics | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        self._keys = keys
        self._routes = routes
        self._frame = frame
        self._operator = operator
        self._memory = memory
        self._disk = disk
        self._metrics = metrics
        self._sampling = sampling
        self._administration = administration

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        if scope["type"] != "http":
            return
        try:
            await self._dispatch(scope, receive, send, started)
        except ApiError as error:
            log.write("info", "refused", path=scope["path"], http_status=error.status, code=error.code)
            if self._metrics is not None:
                self._metrics.refuse(error.code)
            await asgi.answer(send, error.status, api_of(scope["path"]).error(error, ""), error.headers)
        except Exception as fault:  # noqa: BLE001 - the frame answers for requests to models; this is all else
            log.write(
                "error", "a fault of the gateway", path=scope["path"],
                error=type(fault).__name__, traceback=log.frames_of(fault),
            )  # fmt: skip
            internal = errors.internal()
            body = api_of(scope["path"]).error(internal, "")
            await asgi.answer(send, internal.status, body, internal.headers)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send, started: float) -> None:
        path, method = scope["path"], scope["method"]
        if path.startswith(_OPERATOR) or path == HEALTH:
            await self._operator.serve(scope, send)
            return
        if is_administration(path):
            await self._administration.serve(scope, receive, send)
            return
        operation = OPERATIONS.get(path)
        own_header = b"" if operation is None else operation.api.key_header
        key = self._keys.authenticate(scope["headers"], own_header)
        if operation is not None:
            _allow(method, path, "POST")
            upload: Upload | FormUpload
            if operation.shape == "multipart":
                upload = FormUpload(receive, scope["headers"], key.org, self._disk)
            else:
                upload = Upload(receive, scope["headers"], key.org, self._memory)
            try:
                trace = trace_context.begun(scope["headers"], self._sampling)
                await self._frame.serve(operation, Call(key, path, started, trace=trace), upload, send)
            finally:
                upload.close()
        elif path == _MODELS or path.startswith(_MODELS + "/"):
            _allow(method, path, "GET", "HEAD")
            await asgi.answer(send, 200, self._models(key, path[len(_MODELS) + 1 :]))
        elif path.startswith(responses.KEPT):
            raise responses.not_kept(path)
        else:
            raise errors.not_found(path)

    def _models(self, key: KeyRecord, name: str) -> bytes:
        """The models that a key may be used for, or one of them."""
        table = self._routes.table
        asked = [name] if name else table.models_of(key.org)
        routes = [table.visible(model, key.org) for model in asked]
        usable = [route.model for route in routes if route and permits(key, route.deployment, route.task)]
        if name and not usable:
            raise errors.model_not_found(name)
        models = [
            {"id": model, "object": "model", "created": _CREATED, "owned_by": "slipway"} for model in usable
        ]
        return orjson.dumps(models[0] if name else {"object": "list", "data": models})


def _allow(method: str, path: str, *allowed: str) -> None:
    if method not in allowed:
        raise errors.method_not_allowed(method, path, ", ".join(allowed))
