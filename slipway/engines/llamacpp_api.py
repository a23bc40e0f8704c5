"""The API of llama.cpp as clients may reach it: requests are prepared, passed on, and streamed back.

Belongs here: its paths, adapters per request, what a client may not say, streaming through.
Does not: names and errors (frontend.py), loading the engine (llamacpp_engine.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from slipway.engines.frontend import Frontend, RefusedError, Served, body_of, parsed, require_model

if TYPE_CHECKING:
    import aiohttp

# What is passed on to the engine, by what it was started for, and the engine's own name of it.
_GENERATE = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
_MESSAGES = ("/v1/messages", "/v1/messages/count_tokens")
_TOKENS = {path: path for path in ("/tokenize", "/detokenize")}
PATHS: Mapping[str, Mapping[str, str]] = {
    "text-generation": {**{path: path for path in (*_GENERATE, *_MESSAGES)}, **_TOKENS},
    "embedding": {"/v1/embeddings": "/v1/embeddings", **_TOKENS},
    "rerank": {**dict.fromkeys(("/v1/rerank", "/rerank", "/v2/rerank"), "/v1/rerank"), **_TOKENS},
}

# The engine takes these from a body, and through them one tenant could pick another's adapter or cache.
_NOT_THE_CLIENTS = ("lora", "id_slot", "cache_prompt", "cache_salt", "n_cache_reuse")


@dataclass(frozen=True)
class ServedText(Served):
    """`adapters` are model names in the order the engine loaded them."""

    adapters: tuple[str, ...] = ()
    reuse_prompts: bool = False

    @property
    def model_names(self) -> tuple[str, ...]:
        """All names that a request may use."""
        return (self.model, *self.adapters)


def frontend(engine_url: str, engine_key: str, served: ServedText, task: str) -> Frontend:
    """The frontend of an engine that was started for a task."""
    engine = _Engine(engine_url, engine_key, served, PATHS[task])
    return Frontend(served, dict.fromkeys(PATHS[task], engine.pass_on), engine.is_alive)


class _Engine:
    """llama.cpp's own server on loopback; made before the event loop runs, used within it."""

    def __init__(self, url: str, key: str, served: ServedText, paths: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._served = served
        self._paths = paths
        self._session: aiohttp.ClientSession | None = None

    async def is_alive(self, timeout_s: float) -> bool:
        """Whether it answers its health check."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._client().get(f"{self._url}/health", timeout=timeout) as reply:
                return reply.status == 200
        except (TimeoutError, aiohttp.ClientError):
            return False

    async def pass_on(self, request: Request, path: str) -> Response:
        """Send a request on, and its answer back as it comes."""
        import aiohttp

        name, asked = prepare(await body_of(request), self._served, path)
        try:
            reply = await self._client().post(
                self._url + self._paths[path], data=orjson.dumps(asked), headers=self._headers
            )
        except aiohttp.ClientError as error:
            told = f"The engine does not answer ({type(error).__name__})."
            raise RefusedError(502, told, "engine_unreachable") from error
        rename = (_model_field(self._served.model), _model_field(name))
        if reply.content_type == "text/event-stream":
            return StreamingResponse(_events(reply, *rename), media_type="text/event-stream")
        async with reply:
            whole = await reply.read()
        return Response(whole.replace(*rename, 1), reply.status, media_type="application/json")

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session


def prepare(body: bytes, served: ServedText, path: str = "") -> tuple[str, dict[str, Any]]:
    """(model name, body for the engine); raises RefusedError.

    With adapters loaded, a prefix cached under one of them would be reused for another and change its
    answers: the engine is told not to reuse prompts, and which adapters apply is said in every request.
    """
    asked = parsed(body)
    name = require_model(asked.get("model"), served)
    unmetered = _unmetered(asked)
    if unmetered is not None:
        raise RefusedError(400, unmetered, "unsupported_value")
    if path in _MESSAGES and name != served.model:
        # Of a body of this shape llama.cpp reads nothing but the API's own fields: no adapter would apply.
        told = f"{name} is an adapter, which this engine serves at /v1/chat/completions. Ask it there."
        raise RefusedError(400, told, "unsupported_value", "model")
    for field in _NOT_THE_CLIENTS:
        asked.pop(field, None)
    if served.adapters:
        asked["lora"] = [
            {"id": index, "scale": 1.0 if adapter == name else 0.0}
            for index, adapter in enumerate(served.adapters)
        ]
    asked["cache_prompt"] = served.reuse_prompts and not served.adapters
    options = asked.get("stream_options")
    counts = isinstance(options, dict) and options.get("continuous_usage_stats")
    if counts or (path == "/v1/responses" and asked.get("stream") is True):
        # By counts in every chunk (vLLM's name for them) the gateway records what a client that hung up used;
        # it takes them out of what it passes on.
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
