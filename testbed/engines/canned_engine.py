"""An engine that answers with the bytes that a test gives it, in pieces as small as it likes.

Belongs here: sending them. Does not: what they are (the tests), an engine with a mind (fake_engine.py).
"""

from typing import Any

from aiohttp import web

from testbed.engines.fake_server import FakeServer


class CannedEngine(FakeServer):
    """`answers` by path: (status, content type, body). Of what was asked it keeps path and body."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.piece_bytes = 2**20
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Every path that is posted to."""
        router.add_post("/{path:.*}", self._post)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, await request.json()))
        status, content_type, body = self.answers.get(request.path, (404, "text/plain", b"Not Found"))
        response = web.StreamResponse(status=status, headers={"content-type": content_type})
        await response.prepare(request)
        for start in range(0, len(body), self.piece_bytes):
            await response.write(body[start : start + self.piece_bytes])
        return response
