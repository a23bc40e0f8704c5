"""What every engine of ours has in front of it: names, /-/spec, which path is answered by what, errors.

Belongs here: what is the same for all engines. Does not: any path of an API (llamacpp_api.py and its like in
the engines' rooms), Ray (hosting.py), keys and limits (the gateway's).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

# Answers one path: the request, and its path below the application's route.
Handler = Callable[[Request, str], Awaitable[Response]]
IsAlive = Callable[[float], Awaitable[bool]]

# JSON that a client may send at most: more than any batch that an engine takes.
MOST_JSON_BYTES = 32 * 2**20
# Nobody reads the answer to a client that is gone; the number is nginx's.
_CLIENT_GONE = 499


@dataclass(frozen=True)
class Served:
    """What a replica answers for."""

    deployment: str
    spec_digest: str
    replica: str
    model: str

    @property
    def model_names(self) -> tuple[str, ...]:
        """All names that a request may use."""
        return (self.model,)


class RefusedError(Exception):
    """A request that deserves an error: its status, OpenAI's code and parameter, and a sentence."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    def response(self) -> Response:
        """The error in OpenAI's shape."""
        return error(self.status, str(self), self.code, self.param)


class ClientGoneError(Exception):
    """The client hung up before its answer was there."""


class Frontend:
    """Answers requests of one replica by its engine's handlers."""

    def __init__(self, served: Served, handlers: Mapping[str, Handler], is_alive: IsAlive) -> None:
        self.paths = frozenset(handlers)
        self._served = served
        self._handlers = handlers
        self._is_alive = is_alive

    async def answer(self, request: Request) -> Response:
        """The response to any request below the application's route."""
        path = str(request.scope["path"]).removeprefix(str(request.scope.get("root_path", "")))
        handler = self._handlers.get(path) if request.method == "POST" else None
        if handler is not None:
            return await _answered(handler, request, path)
        if request.method == "GET" and path == "/-/spec":
            return json(200, self._spec())
        if request.method == "GET" and path == "/v1/models":
            return json(200, {"object": "list", "data": [_model(n) for n in self._served.model_names]})
        if request.method == "GET" and path.removeprefix("/v1/models/") in self._served.model_names:
            return json(200, _model(path.removeprefix("/v1/models/")))
        return error(404, f"{request.method} {path} is not served here.", "not_found")

    async def is_alive(self, timeout_s: float = 10) -> bool:
        """Whether the engine answers its own health check in time."""
        return await self._is_alive(timeout_s)

    def _spec(self) -> dict[str, Any]:
        return {
            "spec_digest": self._served.spec_digest,
            "replica": self._served.replica,
            "deployment": self._served.deployment,
            "model_names": list(self._served.model_names),
        }


async def _answered(handler: Handler, request: Request, path: str) -> Response:
    try:
        return await handler(request, path)
    except RefusedError as refused:
        return refused.response()
    except (ClientGoneError, ClientDisconnect):
        return Response(status_code=_CLIENT_GONE)
    except Exception:  # noqa: BLE001 - whatever an engine's library raises is an answer in the API's shape
        _LOG.exception("%s failed", path)
        return error(500, "The engine failed at this request; its log says why.", "engine_failed")


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of work on a request whose body was read; it is cancelled when the client hangs up.

    Raises ClientGoneError then, and what the work raises.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGoneError
    finally:
        leaving.cancel()
        working.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def body_of(request: Request, most_bytes: int = MOST_JSON_BYTES) -> bytes:
    """The request's body; raises RefusedError as soon as it is longer than it may be."""
    parts, size_bytes = [], 0
    async for part in request.stream():
        size_bytes += len(part)
        if size_bytes > most_bytes:
            raise RefusedError(413, f"The body is longer than {most_bytes} bytes.", "request_too_large")
        parts.append(part)
    return b"".join(parts)


async def asked_of(request: Request, served: Served) -> dict[str, Any]:
    """The JSON object that was sent, for a model that is served; raises RefusedError."""
    asked = parsed(await body_of(request))
    require_model(asked.get("model"), served)
    return asked


def parsed(body: bytes) -> dict[str, Any]:
    """A body as a JSON object; raises RefusedError."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"The body is not JSON: {error}.", "invalid_json") from error
    if not isinstance(asked, dict):
        raise RefusedError(400, "The body is not a JSON object.", "invalid_json")
    return asked


def require_model(name: object, served: Served) -> str:
    """The model's name where it is one of those served; raises RefusedError."""
    if not isinstance(name, str):
        raise RefusedError(400, "model is missing or not a string.", "missing_model", "model")
    if name not in served.model_names:
        raise RefusedError(404, f"The model {name} does not exist.", "model_not_found", "model")
    return name


def refused(param: str, what: str) -> RefusedError:
    """The refusal of one field: `input is empty. ...`."""
    return RefusedError(400, f"{param} {what}", "invalid_value", param)


def json(status: int, content: Any) -> Response:
    """A response of JSON; arrays of numpy are written as they are."""
    return Response(
        orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type="application/json"
    )


def error(status: int, message: str, code: str, param: str | None = None) -> Response:
    """An error in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return json(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def _model(name: str) -> Mapping[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "slipway"}
