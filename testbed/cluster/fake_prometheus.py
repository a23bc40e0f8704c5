"""A fake Prometheus: it says of every query what a test wants it to.

Belongs here: its one answer. Does not: who asks (KEDA: operators.py).
"""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.cluster.layout import BRIDGE_IP


class FakePrometheus(http.server.ThreadingHTTPServer):
    """Answers every query with `value`, where pods and this machine reach it."""

    daemon_threads = True
    value = 0.0

    def __init__(self) -> None:
        super().__init__((BRIDGE_IP, 0), _Answer)

    @property
    def url(self) -> str:
        """Base URL of its API."""
        return f"http://{BRIDGE_IP}:{self.server_port}"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: FakePrometheus

    def do_GET(self) -> None:
        result = [{"metric": {}, "value": [1, str(self.server.value)]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serving() -> Iterator[FakePrometheus]:
    """One that answers until the end of the `with`."""
    with FakePrometheus() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
