"""A proxy before a real registry that answers some requests as other registries were seen to.

Belongs here: passing on, and asking a test's twist first. Does not: the registry (registry_server.py).
"""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """What goes to the client; with `cut_to`, the connection ends after so many bytes of the body."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut_to: int | None = None


@dataclass(frozen=True)
class Asked:
    """A request, and how to get the real registry's answer to it or to another path."""

    method: str
    path: str
    headers: dict[str, str]
    pass_on: Callable[..., Answer] = field(repr=False)


Twist = Callable[[Asked], Answer | None]


@contextmanager
def twisted(upstream: str, twist: Twist) -> Iterator[str]:
    """host:port of a proxy before the registry at `upstream` (a base URL); None from the twist passes on."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            asked = Asked(self.command, self.path, dict(self.headers), self.passed_on)
            answer = twist(asked) or self.passed_on()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in {
                    "content-length",
                    "connection",
                    "transfer-encoding",
                    "date",
                    "server",
                }:
                    self.send_header(name, value)
            head = self.command == "HEAD"
            length = answer.headers.get("Content-Length", "0") if head else str(len(answer.body))
            self.send_header("Content-Length", length)
            self.end_headers()
            if not head:
                self.wfile.write(answer.body[: answer.cut_to])
            if answer.cut_to is not None:
                self.close_connection = True

        do_GET = do_HEAD = answer  # noqa: N815 (http.server's names)

        def passed_on(self, path: str | None = None, headers: dict[str, str] | None = None) -> Answer:
            """The registry's own answer."""
            sent = {"Accept": self.headers.get("Accept", "*/*"), **self.range(), **(headers or {})}
            request = urllib.request.Request(
                upstream + (path or self.path), method=self.command, headers=sent
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    return Answer(reply.status, dict(reply.headers), reply.read())
            except urllib.error.HTTPError as error:
                return Answer(error.code, dict(error.headers), error.read())

        def range(self) -> dict[str, str]:
            asked = self.headers.get("Range")
            return {"Range": asked} if asked else {}

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
