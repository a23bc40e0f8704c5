"""What a tenant meets at the edges of HTTP, from its socket through the gateway to the engine and back."""

import contextlib
import itertools
import json
import socket
import threading

import pytest

HI = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
CHAT = "/v1/chat/completions"


def request(gateway, *, key=True, version="1.1", body=HI, headers=(), trailer=None):
    raw = json.dumps(body).encode()
    lines = [f"POST {CHAT} HTTP/{version}", "Host: x", *headers]
    if key:
        lines.append(f"Authorization: Bearer {gateway.secrets['acme']}")
    if trailer is None:
        lines.append(f"Content-Length: {len(raw)}")
        sent = raw
    else:
        lines.append("Transfer-Encoding: chunked")
        sent = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(raw), raw, trailer.encode())
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + sent


def told(gateway, sent, *, half_close=False):
    """All that the gateway answers until it closes; the request asks it to."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as client:
        client.sendall(sent)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        read = b""
        while data := client.recv(65_536):
            read += data
    return read


def test_a_key_in_a_trailer_opens_nothing(gateway, fake, route):
    gateway.route(route("chat", fake.url))
    trailer = f"Authorization: Bearer {gateway.secrets['acme']}"
    said = told(gateway, request(gateway, key=False, headers=["Connection: close"], trailer=trailer))
    assert said.startswith(b"HTTP/1.1 401")
    assert fake.requests == []


@pytest.mark.parametrize("half_close", [False, True])
def test_a_stream_to_http_1_0_is_as_it_is_and_ends_with_the_connection(gateway, fake, route, half_close):
    gateway.route(route("chat", fake.url))
    sent = request(gateway, version="1.0", body={**HI, "stream": True})
    start, _, body = told(gateway, sent, half_close=half_close).partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding" not in start.lower()
    assert body.startswith(b"data: {") and body.endswith(b"data: [DONE]\n\n")


def test_a_client_that_has_ended_its_side_gets_its_answer_and_it_is_recorded(gateway, fake, route):
    gateway.route(route("chat", fake.url))
    said = told(gateway, request(gateway), half_close=True)
    assert b"HTTP/1.1 200" in said and b'"usage"' in said
    assert [event["status"] for event in gateway.events()] == ["success"]


@pytest.mark.parametrize("path", ["/-/health", "/health", "/-/ready", "/v1/models", "/v1/models/chat"])
def test_head_is_answered_as_get_without_the_body(gateway, fake, route, path):
    gateway.route(route("chat", fake.url))
    secret = gateway.secrets["acme"]
    status, headers, body = gateway.raw(path, secret=secret)
    head_status, head_headers, head_body = gateway.raw(path, secret=secret, method="HEAD")
    assert (status, head_status, head_body) == (200, 200, b"")
    assert head_headers["content-type"] == headers["content-type"]
    if path.startswith("/v1"):
        assert head_headers["content-length"] == str(len(body))
    assert gateway.raw(path, method="HEAD")[0] == (401 if path.startswith("/v1") else 200)


class Refuser:
    """An engine that answers with 400, in the pieces that it is given; `None` breaks the connection off."""

    def __init__(self, pieces, length):
        self._pieces, self._length = pieces, length
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with client:
                    client.recv(65_536)
                    head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
                    client.sendall(f"{head}Content-Length: {self._length}\r\n\r\n".encode())
                    for piece in self._pieces:
                        threading.Event().wait(0.05)  # so that it is a segment of its own
                        client.sendall(piece)


SAID = json.dumps({"error": {"message": "max_tokens is too large: " + "9" * 100_000, "code": "x"}}).encode()


@pytest.mark.parametrize("cuts", [[], [10], [1, 2, 60_000], [len(SAID) - 1]])
def test_an_engines_refusal_is_read_whole_however_it_comes(gateway, route, cuts):
    bounds = [0, *cuts, len(SAID)]
    pieces = [SAID[start:end] for start, end in itertools.pairwise(bounds)]
    with Refuser(pieces, len(SAID)) as engine:
        gateway.route(route("chat", engine.url))
        status, _, body = gateway.raw(CHAT, HI, secret=gateway.secrets["acme"])
    assert status == 400
    error = json.loads(body)["error"]
    assert (error["message"], error["code"]) == (json.loads(SAID)["error"]["message"], "x")


def test_of_one_that_is_too_long_nothing_is_shown_and_one_that_breaks_off_is_no_answer(gateway, route):
    for said, status, message in (
        (b'{"error": "' + b"x" * 2 * 2**20, 400, "The server refused the request."),
        (SAID[:50], 502, "The server of `chat` cannot be reached."),
    ):
        with Refuser([said], 10 * 2**20) as engine:
            gateway.route(route("chat", engine.url))
            found, _, body = gateway.raw(CHAT, HI, secret=gateway.secrets["acme"])
        assert (found, json.loads(body)["error"]["message"]) == (status, message)


def test_a_large_body_is_answered_and_one_too_large_refused_before_it_is_sent(gateway, fake, route):
    gateway.route(route("chat", fake.url))
    large = {**HI, "padding": "x" * 900_000}
    assert gateway.raw(CHAT, large, secret=gateway.secrets["acme"])[0] == 200
    head = request(gateway, body="", headers=["Connection: close"]).partition(b"\r\n\r\n")[0]
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    announced = b"\r\n".join([*lines, b"Content-Length: 40000000"]) + b"\r\n\r\n"
    assert told(gateway, announced).startswith(b"HTTP/1.1 413")
