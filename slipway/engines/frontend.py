"""The OpenAI API of one replica: what tenants may reach of the engine behind it.

Belongs here: model names, adapters per request, streaming through, errors in OpenAI's shape, /-/spec.
Does not: loading the engine, Ray, keys and limits (the gateway's).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    import aiohttp

# What is passed on to the engine, by what it was started for; its paths are the same.
GENERATE = ("/v1/chat/completions", "/v1/completions")
EMBED = ("/v1/embeddings",)

# The engine takes these from a body, and through them one tenant could pick another's adapter or cache.
_NOT_THE_CLIENTS = ("lora", "id_slot", "cache_prompt", "cache_salt", "n_cache_reuse")


@dataclass(frozen=True)
class Served:
    """What this replica answers for; `adapters` are model names in the order the engine loaded them."""

    deployment: str
    spec_digest: str
    replica: str
    model: str
    adapters: tuple[str, ...]
    reuse_prompts: bool
    paths: tuple[str, ...] = GENERATE

    @property
    def model_names(self) -> tuple[str, ...]:
        """All names that a request may use."""
        return (self.model, *self.adapters)


class Frontend:
    """Answers requests of one replica by its engine; made before the event loop runs, used within it."""

    def __init__(self, engine_url: str, engine_key: str, served: Served) -> None:
        self._engine_url = engine_url
        self._engine_headers = {"authorization": f"Bearer {engine_key}", "content-type": "application/json"}
        self._served = served
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, request: Request) -> Response:
        """The response to any request below the application's route."""
        path = str(request.scope["path"]).removeprefix(str(request.scope.get("root_path", "")))
        if request.method == "POST" and path in self._served.paths:
            return await self._pass_on(path, await request.body())
        if request.method == "GET" and path == "/-/spec":
            return _json(200, self._spec())
        if request.method == "GET" and path == "/v1/models":
            return _json(200, {"object": "list", "data": [_model(n) for n in self._served.model_names]})
        if request.method == "GET" and path.removeprefix("/v1/models/") in self._served.model_names:
            return _json(200, _model(path.removeprefix("/v1/models/")))
        return _error(404, f"{request.method} {path} is not served here.", "not_found")

    async def is_alive(self, timeout_s: float = 10) -> bool:
        """Whether the engine answers its own health check in time."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._client().get(f"{self._engine_url}/health", timeout=timeout) as reply:
                return reply.status == 200
        except (TimeoutError, aiohttp.ClientError):
            return False

    def _spec(self) -> dict[str, Any]:
        return {
            "spec_digest": self._served.spec_digest,
            "replica": self._served.replica,
            "deployment": self._served.deployment,
            "model_names": list(self._served.model_names),
        }

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    async def _pass_on(self, path: str, body: bytes) -> Response:
        import aiohttp

        prepared = prepare(body, self._served)
        if isinstance(prepared, Response):
            return prepared
        name, asked = prepared
        try:
            reply = await self._client().post(
                self._engine_url + path, data=orjson.dumps(asked), headers=self._engine_headers
            )
        except aiohttp.ClientError as error:
            return _error(502, f"The engine does not answer ({type(error).__name__}).", "engine_unreachable")
        rename = (_model_field(self._served.model), _model_field(name))
        if reply.content_type == "text/event-stream":
            return StreamingResponse(_events(reply, *rename), media_type="text/event-stream")
        async with reply:
            whole = await reply.read()
        return Response(whole.replace(*rename, 1), reply.status, media_type="application/json")


def prepare(body: bytes, served: Served) -> tuple[str, dict[str, Any]] | Response:
    """(model name, body for the engine), or the error response that the request deserves.

    With adapters loaded, a prefix cached under one of them would be reused for another and change its
    answers: the engine is told not to reuse prompts, and which adapters apply is said in every request.
    """
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _error(400, f"The body is not JSON: {error}.", "invalid_json")
    if not isinstance(asked, dict):
        return _error(400, "The body is not a JSON object.", "invalid_json")
    name = asked.get("model")
    if not isinstance(name, str):
        return _error(400, "model is missing or not a string.", "missing_model")
    if name not in served.model_names:
        return _error(404, f"The model {name} does not exist.", "model_not_found")
    unmetered = _unmetered(asked)
    if unmetered is not None:
        return _error(400, unmetered, "unsupported_value")
    for field in _NOT_THE_CLIENTS:
        asked.pop(field, None)
    if served.adapters:
        asked["lora"] = [
            {"id": index, "scale": 1.0 if adapter == name else 0.0}
            for index, adapter in enumerate(served.adapters)
        ]
    asked["cache_prompt"] = served.reuse_prompts and not served.adapters
    options = asked.get("stream_options")
    if isinstance(options, dict) and options.get("continuous_usage_stats"):
        # vLLM's name for counts in every chunk, by which the gateway records what a client that hung up used.
        asked["timings_per_token"] = True
    return name, asked


def _unmetered(asked: dict[str, Any]) -> str | None:
    """Why a request for several answers is refused: llama.cpp reports the usage of one of them alone."""
    if asked.get("n") not in (None, 1):
        return f"n is {asked['n']!r}: this engine makes one answer per request. Leave n out, and ask again."
    prompt = asked.get("prompt")
    several = isinstance(prompt, list) and len(prompt) > 1 and not all(isinstance(p, int) for p in prompt)
    return (
        "prompt has several entries: this engine answers one per request. Send each alone."
        if several
        else None
    )


async def _events(reply: aiohttp.ClientResponse, old: bytes, new: bytes) -> AsyncIterator[bytes]:
    """Forward server-sent events as they come; leaving early closes the connection, and the engine stops."""
    pending = b""
    try:
        async for chunk in reply.content.iter_any():
            if old == new:
                yield chunk
                continue
            whole, separator, pending = (pending + chunk).rpartition(b"\n\n")
            if separator:
                yield (whole + separator).replace(old, new)
        if pending:
            yield pending
    finally:
        reply.close()


def _model_field(name: str) -> bytes:
    # Quotes inside a JSON string are escaped, so these bytes are never part of a generated text.
    return b'"model":' + orjson.dumps(name)


def _model(name: str) -> Mapping[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "slipway"}


def _error(status: int, message: str, code: str) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return _json(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def _json(status: int, content: Any) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
