"""What every stand-in for a source has: an API, content behind signed links at a port of its own, faults.

Belongs here: starting and stopping, the links from one door to the other, counters for tests.
Does not: the endpoints (api.py, cdn.py), what is served (server.py).
"""

from __future__ import annotations

import hmac
import secrets
import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import quote

from slipway.stack.standin_hub.bodies import Handler
from slipway.stack.standin_hub.cdn import CdnHandler
from slipway.stack.standin_hub.faults import Switchboard
from slipway.stack.standin_hub.repository import HubFile

HOST = "127.0.0.1"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class TwoDoors:
    """A running stand-in, as a context manager. Port 0 takes a free one.

    `requests` and `body_bytes` tell a test what was really fetched.
    """

    def __init__(
        self, api: type[Handler], *, port: int = 0, cdn_port: int = 0, verbose: bool = False
    ) -> None:
        self.faults = Switchboard()
        self.verbose = verbose
        self.requests: list[tuple[str, str]] = []
        self.body_bytes = 0
        self._links: dict[str, tuple[str, HubFile]] = {}
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._api = self._listen(api, port)
        self._cdn = self._listen(CdnHandler, cdn_port)
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Base URL of the API."""
        return f"http://{HOST}:{self._api.server_port}"

    @property
    def cdn_url(self) -> str:
        """Base URL of the content door."""
        return f"http://{HOST}:{self._cdn.server_port}"

    def start(self) -> None:
        """Serve on both ports, in threads of this process."""
        for server in (self._api, self._cdn):
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop serving and close both ports."""
        for server in (self._api, self._cdn):
            if self._threads:
                server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def cdn_location(self, repo: str, path: str, file: HubFile) -> str:
        """A signed link to the file's content."""
        door = f"/{repo}/{file.sha256}/{path}"
        with self._lock:
            self._links[door] = (path, file)
        return f"{self.cdn_url}{quote(door)}?signature={self._signature(door)}"

    def linked_file(self, door: str, query: str) -> tuple[str, HubFile] | None:
        """Path and file of a link that this hub signed; None for any other."""
        if not hmac.compare_digest(query, f"signature={self._signature(door)}"):
            return None
        with self._lock:
            return self._links.get(door)

    def count_request(self, method: str, path: str) -> None:
        """Remember a request for a file."""
        with self._lock:
            self.requests.append((method, path))

    def count_bytes(self, sent: int) -> None:
        """Add to the bytes of files that were sent."""
        with self._lock:
            self.body_bytes += sent

    def _signature(self, door: str) -> str:
        return hmac.new(self._secret, door.encode(), "sha256").hexdigest()

    def _listen(self, handler: type[Handler], port: int) -> _Server:
        return _Server((HOST, port), type(handler.__name__, (handler,), {"standin": self}))
