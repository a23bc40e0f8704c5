"""A fake engine, without a model: it does what a real one cannot be made to do, and remembers all of it.

Belongs here: names and paths, and how a request fails. Does not: answers (fake_answers.py), real
engines (llamacpp.py).
"""

import asyncio
import json
import threading
from typing import Any

from aiohttp import web

from testbed.engines import fake_answers
from testbed.engines.fake_server import FakeServer


class FakeEngine(FakeServer):
    """Answers every task, for `names` where there are some; the name of a model may say what goes wrong.

    A number is a status; `drops` and `dies-midway` break the connection; `hangs`, `pauses` and
    `silent-midway` wait for `release`; `slow` takes a while; `refuses...` calls it the client's fault;
    `not-json` is HTML.
    """

    runner_options = {"handler_cancellation": True}

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] | None = None
        self.listed: set[str] | None = None  # instead of the names
        self.paths: set[str] = set()  # none: all of them
        self.wrong = ""  # how answers are wrong: fake_answers.py
        self.delay_s = 0.0
        self.asked: list[tuple[str, str]] = []  # path and model
        self.requests: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}  # of the last request, names in small letters
        self.hung_up = 0
        self.release = threading.Event()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Models, and every path that is posted to."""
        router.add_get("/v1/models", self._list)
        router.add_get("/v1/models/{name:.+}", self._one)
        router.add_post("/{path:.*}", self._post)

    async def _list(self, _: web.Request) -> web.Response:
        listed = (self.names or set()) if self.listed is None else self.listed
        return web.json_response({"object": "list", "data": [{"id": name} for name in sorted(listed)]})

    async def _one(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({"id": name}) if name in (self.names or ()) else web.Response(status=404)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if self.paths and request.path not in self.paths:
            return web.Response(status=404)
        is_form = request.path.endswith("transcriptions")
        body: dict[str, Any] = dict(await request.post()) if is_form else await request.json()
        self.asked.append((request.path, body["model"]))
        self.requests.append(body)
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        await asyncio.sleep(self.delay_s)
        if self.names is not None and body["model"] not in self.names:
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        if failed := await self._failed(request, body["model"]):
            return failed
        if body.get("stream"):
            return await self._stream(request, body["model"])
        if request.path.endswith("/speech"):
            return web.Response(body=fake_answers.speech(self.wrong), content_type="audio/wav")
        answer = fake_answers.answer(request.path, body, self.wrong)
        return web.Response(text=json.dumps(answer), content_type="application/json")  # with NaN, if need be

    async def _failed(self, request: web.Request, behaviour: str) -> web.Response | None:
        """The answer in place of the real one, if the model's name asks for it."""
        if behaviour.isdigit():
            return web.Response(status=int(behaviour), text="secret detail of the engine")
        if behaviour.startswith("refuses"):
            message = f"max_tokens is too large for the model `{behaviour}`."
            return web.json_response({"error": {"message": message, "param": "max_tokens"}}, status=400)
        if behaviour == "not-json":
            return web.Response(text="<html>", content_type="text/html")
        if behaviour == "drops":
            _break(request)
        if behaviour == "hangs":
            await self._wait_or_notice()
        if behaviour == "slow":
            await asyncio.sleep(0.2)
        return None

    async def _stream(self, request: web.Request, behaviour: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for chunk in fake_answers.chunks():
            await _send(response, json.dumps(chunk))
        if behaviour == "dies-midway":
            _break(request)
        if behaviour in {"pauses", "silent-midway"}:
            await self._wait_or_notice()
        await _send(response, json.dumps(fake_answers.last_chunk()))
        await _send(response, "[DONE]")
        return response

    async def _wait_or_notice(self) -> None:
        """Wait until the test lets go; notice when the gateway hangs up first."""
        try:
            while not self.release.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.hung_up += 1
            raise


def _break(request: web.Request) -> None:
    if isinstance(request.transport, asyncio.Transport):
        request.transport.abort()


async def _send(response: web.StreamResponse, data: str) -> None:
    await response.write(f"data: {data}\n\n".encode())
