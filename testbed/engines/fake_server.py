"""What fake engines have in common: an HTTP server in a thread of its own.

Belongs here: starting and ending it. Does not: what it answers (fake_engine.py).
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Any, Self

from aiohttp import web


class FakeServer(ABC):
    """Serves the routes of `add_routes` on a free port of this machine; use it in a `with`."""

    # Arguments of aiohttp's AppRunner.
    runner_options: dict[str, Any] = {}

    def __init__(self) -> None:
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    @abstractmethod
    def add_routes(self, router: web.UrlDispatcher) -> None:
        """What is answered, by path."""

    @property
    def url(self) -> str:
        """As a client's `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def _run(self) -> None:
        self._loop = asyncio.new_event_loop()
        app = web.Application()
        self.add_routes(app.router)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, **self.runner_options)
        self._loop.run_until_complete(self._runner.setup())
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = self._runner.addresses[0][1]
        self._started.set()
        self._loop.run_forever()
