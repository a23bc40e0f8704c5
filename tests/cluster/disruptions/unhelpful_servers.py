"""Servers that a cluster depends on and that do not do what it hopes for: a registry, an admission webhook.

Belongs here: small real servers on this machine, as the node and the API server reach them.
Does not: what follows from their answers (cases.py).
"""

import http.server
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Thread
from typing import Any

from testbed.cluster.layout import BRIDGE_IP, NODE, Layout

# containerd speaks plain HTTP to this address alone; it and the kubelet run on this machine.
_LOOPBACK = "127.0.0.1"


@contextmanager
def registry(has_account: bool = False, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """`host:port` of a registry without any image; `has_account`: it lets nobody in, whatever they show.

    With `tls` it is at the bridge's address, else on the loopback interface.

    Source: OCI distribution-spec 1.1, "Pulling manifests", and RFC 7617 for its challenge.
    """
    status = HTTPStatus.UNAUTHORIZED if has_account else HTTPStatus.NOT_FOUND
    code = "UNAUTHORIZED" if has_account else "MANIFEST_UNKNOWN"
    body = json.dumps({"errors": [{"code": code, "message": "as the test wants it"}]}).encode()

    class Answering(_Quiet):
        def do_GET(self) -> None:
            challenge = {"WWW-Authenticate": 'Basic realm="test"'} if has_account else {}
            self.answer(status, body, challenge)

        def do_HEAD(self) -> None:
            self.do_GET()

    host = _LOOPBACK if tls is None else BRIDGE_IP
    with _serving(host, Answering, tls) as port:
        yield f"{host}:{port}"


@contextmanager
def webhook(layout: Layout, reason: str) -> Iterator[str]:
    """URL of an admission webhook that denies all that it is asked about, under the test cluster's CA.

    Source: AdmissionReview of admission.k8s.io/v1.
    """

    class Denying(_Quiet):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            denied = {"uid": asked["request"]["uid"], "allowed": False, "status": {"message": reason}}
            review = {"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": denied}
            self.answer(HTTPStatus.OK, json.dumps(review).encode(), {})

    with _serving(BRIDGE_IP, Denying, certified(layout)) as port:
        yield f"https://{BRIDGE_IP}:{port}/"


def certified(layout: Layout) -> ssl.SSLContext:
    """TLS by a certificate of the test cluster's CA, which names the bridge's address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(layout.pki / f"{NODE}.crt", layout.pki / f"{NODE}.key")
    return context


class _Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        """One JSON document; a HEAD request gets none of it."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test's output is not the place."""


@contextmanager
def _serving(
    host: str, handler: Callable[..., _Quiet], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    with http.server.ThreadingHTTPServer((host, 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
