"""A fake Ray Serve over HTTP: it keeps what it is sent, says that it runs, and answers as an engine.

Belongs here: the calls that a rollout makes of Ray, and the requests that validation makes of an engine.
Does not: anything of Slipway, so that the version before and this one can both be pointed at it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Json = dict[str, Any]

_USAGE = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}


class FakeRay:
    """Dashboard and Serve's proxy at one address; use it in a `with`. `applications` is what it was sent."""

    def __init__(self, applications: list[Json] | None = None) -> None:
        self.applications: dict[str, Json] = {each["name"]: each for each in applications or ()}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def details(self) -> Json:
        """As `GET /api/serve/applications/` of Ray."""
        return {"applications": {name: _running(each) for name, each in self.applications.items()}}

    def replace(self, document: Json) -> None:
        """As PUT to the same."""
        self.applications = {each["name"]: each for each in document["applications"]}


def _running(config: Json) -> Json:
    replica = {"replica_id": f"{config['name']}#1", "state": "RUNNING"}
    deployment = {"status": "HEALTHY", "target_num_replicas": 1, "replicas": [replica]}
    names = [each["name"] for each in config["deployments"]]
    return {
        "status": "RUNNING",
        "deployed_app_config": config,
        "deployments": dict.fromkeys(names, deployment),
    }


def _handler(ray: FakeRay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.startswith("/api/serve/applications"):
                self._answer(ray.details())
            else:
                name, _, path = self.path.partition("?")[0].lstrip("/").partition("/")
                self._answer(_said(name, ray.applications[name]["args"], path))

        def do_PUT(self) -> None:
            ray.replace(self._body())
            self._answer({})

        def do_POST(self) -> None:
            body = self._body()
            if body.get("stream"):
                chunks = "".join(f"data: {json.dumps(each)}\n\n" for each in _chunks(body["model"]))
                self._send(f"{chunks}data: [DONE]\n\n".encode(), "text/event-stream")
            else:
                self._answer(_completion(body["model"]))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _body(self) -> Json:
            body: Json = json.loads(self.rfile.read(int(self.headers["content-length"])))
            return body

        def _answer(self, document: Json) -> None:
            self._send(json.dumps(document).encode(), "application/json")

        def _send(self, body: bytes, content_type: str) -> None:
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _said(name: str, args: Json, path: str) -> Json:
    if path == "-/spec":
        return {"replica": f"{name}#1", "spec_digest": args["spec_digest"]}
    models = [args["served_name"], *(each["served_name"] for each in args["adapters"])]
    return {"object": "list", "data": [{"id": each, "object": "model"} for each in models]}


def _completion(model: str) -> Json:
    choice = {"index": 0, "text": f"It is {model}.", "finish_reason": "stop", "logprobs": None}
    return {
        "id": "c", "object": "text_completion", "created": 0, "model": model,
        "choices": [choice], "usage": _USAGE,
    }  # fmt: skip


def _chunks(model: str) -> list[Json]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": model}
    pieces = [{"index": 0, "delta": {"content": each}, "finish_reason": None} for each in ("It ", "is.")]
    return [*({**head, "choices": [each]} for each in pieces), {**head, "choices": [], "usage": _USAGE}]
