"""A fake engine: no model behind it, an answer of the right shape for every task, under names of its own.

Belongs here: answers and the ways in which they are wrong. Does not: real engines (slipway/engines).
"""

import asyncio
import io
import json
import wave
from typing import Any

from aiohttp import web

from testbed.engines.fake_server import FakeServer

_USAGE = {"prompt_tokens": 5, "total_tokens": 5}


class FakeEngine(FakeServer):
    """Serves `names`; anything else is 404. `wrong` says how it answers wrongly, `listed` what it lists."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.listed: set[str] | None = None
        self.wrong = ""
        self.paths: set[str] = set()  # empty: all of them
        self.delay_s = 0.0
        self.asked: list[tuple[str, str]] = []

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/v1/models", self._list)
        router.add_get("/v1/models/{name:.+}", self._one)
        router.add_post("/{path:.*}", self._post)

    async def _list(self, _: web.Request) -> web.Response:
        listed = self.names if self.listed is None else self.listed
        return web.json_response({"object": "list", "data": [{"id": name} for name in sorted(listed)]})

    async def _one(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({"id": name}) if name in self.names else web.Response(status=404)

    async def _post(self, request: web.Request) -> web.Response:
        if self.paths and request.path not in self.paths:
            return web.Response(status=404)
        body: Any = await (request.post() if request.path.endswith("transcriptions") else request.json())
        self.asked.append((request.path, body["model"]))
        await asyncio.sleep(self.delay_s)
        if body["model"] not in self.names:
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        if request.path.endswith("/speech"):
            return web.Response(body=self._sound(), content_type="audio/wav")
        answer = self._answer(request.path, body)
        return web.Response(text=json.dumps(answer), content_type="application/json")

    def _answer(self, path: str, body: Any) -> Any:
        usage = {} if self.wrong == "uncounted" else {"usage": _USAGE}
        if path == "/v1/embeddings":
            number = {"infinite": float("nan"), "zero": 0.0}.get(self.wrong, 0.25)
            return {"data": [{"index": 0, "embedding": [number] * 8}], **usage}
        if path.endswith("/rerank"):
            scores = {"unordered": (0.1, 0.9), "alike": (0.5, 0.5)}.get(self.wrong, (0.9, 0.1))
            return {
                "results": [{"index": n, "relevance_score": each} for n, each in enumerate(scores)],
                **usage,
            }
        if path == "/v1/score":
            return {"data": [{"index": n, "score": each} for n, each in enumerate((0.1, 0.9))], **usage}
        if path == "/classify":
            return {"data": [{"label": "fine", "probs": [2.0 if self.wrong else 0.8, 0.2]}], **usage}
        assert path == "/v1/audio/transcriptions", path
        with wave.open(body["file"].file, "rb") as heard:
            assert (heard.getframerate(), heard.getnframes()) == (16_000, 16_000)
        return {"text": None if self.wrong else "la"}

    def _sound(self) -> bytes:
        if self.wrong == "html":
            return b"<html>"
        written = io.BytesIO()
        with wave.open(written, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(24_000)
            file.writeframes(bytes(2000) if self.wrong else b"\x01\x02" * 1000)
        return written.getvalue()
