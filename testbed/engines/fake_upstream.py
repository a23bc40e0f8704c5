"""A fake engine: it does what a real one cannot be made to do, and remembers what it was sent."""

import asyncio
import json
import threading

from aiohttp import web

from testbed.engines.fake_server import FakeServer


class FakeUpstream(FakeServer):
    """A fake engine for faults that a real one cannot be made to have. The model's name says what it does."""

    runner_options = {"handler_cancellation": True}

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[dict] = []
        self.hung_up = 0
        self.release = threading.Event()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/v1/{path:.*}", self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        behaviour = body["model"]
        if behaviour.isdigit():
            return web.Response(status=int(behaviour), text="secret detail of the engine")
        if behaviour.startswith("refuses"):
            message = f"max_tokens is too large for the model `{behaviour}`."
            return web.json_response({"error": {"message": message, "param": "max_tokens"}}, status=400)
        if behaviour == "not-json":
            return web.Response(text="<html>", content_type="text/html")
        if behaviour == "drops":
            request.transport.abort()
        if behaviour == "hangs":
            await self._wait_or_notice()
        if body.get("stream"):
            return await self._stream(request, behaviour)
        await asyncio.sleep(0.2 if behaviour == "slow" else 0)
        output = body.get("max_tokens", 5)
        usage = {"prompt_tokens": 7, "completion_tokens": output, "total_tokens": 7 + output}
        message = {"role": "assistant", "content": "hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice]}
        return web.json_response({**answer, "usage": usage})

    async def _stream(self, request: web.Request, behaviour: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number in range(3):
            delta = {"index": 0, "delta": {"content": f"t{number}"}, "finish_reason": None}
            chunk = {
                "id": "1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "x",
                "choices": [delta],
            }
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        if behaviour == "dies-midway":
            request.transport.abort()
        if behaviour in {"pauses", "silent-midway"}:
            await self._wait_or_notice()
        usage = {"prompt_tokens": 7, "completion_tokens": 3}
        await response.write(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _wait_or_notice(self) -> None:
        """Wait until the test lets go; notice when the gateway hangs up first."""
        try:
            while not self.release.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.hung_up += 1
            raise
