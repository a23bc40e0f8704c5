"""HTTP/1 at its edges: the real server over loopback, with a small application behind it."""

import asyncio
import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import uvicorn
import uvloop

from slipway.gateway import protocol
from slipway.gateway.protocol import BoundedProtocol

CHUNKS = [b"one ", b"two ", b"three"]


@dataclass
class Application:
    """`/told`: what it was sent, once it has all of it. `/no`: 401 before that. `/parts`: without a length.
    `/late`: answers when `release` is set, and takes down who went away before."""

    release: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope, receive, send):
        path = scope["path"]
        if path == "/no":
            await self.answer(send, 401, b"no")
            return
        self.began.set()
        if path == "/unread":
            await self.until(self.release)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                return
            body, more = body + message["body"], message["more_body"]
        if path == "/late":
            watching = asyncio.ensure_future(receive())
            released = asyncio.ensure_future(self.until(self.release))
            await asyncio.wait([watching, released], return_when=asyncio.FIRST_COMPLETED)
            if not released.done():
                self.gone.set()
            watching.cancel()
            released.cancel()
        if path == "/streams":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": CHUNKS[0], "more_body": True})
            await receive()
            self.gone.set()
            return
        if path == "/parts":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for chunk in CHUNKS:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        names = [name.decode() for name, _ in scope["headers"]]
        await self.answer(send, 200, json.dumps({"size": len(body), "headers": names}).encode())

    async def until(self, event):
        while not event.is_set():
            await asyncio.sleep(0.01)

    async def answer(self, send, status, body):
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": body, "more_body": False})


@pytest.fixture
def application():
    return Application()


@pytest.fixture
def connect(application):
    """Opens a connection to the server."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, loop="uvloop", http=BoundedProtocol, ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: uvloop.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    opened = []

    def make():
        opened.append(socket.create_connection(listener.getsockname(), timeout=30))
        return opened[-1]

    yield make
    application.release.set()
    for each in opened:
        each.close()
    server.should_exit = server.force_exit = True
    thread.join(30)


@pytest.fixture
def quick(monkeypatch):
    """Everything that takes its time, in little."""
    monkeypatch.setattr(protocol, "HEAD_S", 0.3)
    monkeypatch.setattr(protocol, "BODY_CHECK_S", 0.2)
    monkeypatch.setattr(protocol, "LINGER_S", 0.3)


@pytest.fixture
def narrow(monkeypatch):
    """Little is read of what nobody wants."""
    monkeypatch.setattr(protocol, "MAX_LINGERING_BYTES", 2**20)


def head(path="/told", version="1.1", method="POST", **headers):
    lines = [f"{method} {path} HTTP/{version}", "Host: x"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def everything(client):
    """All that comes until the server closes."""
    read = b""
    with suppress(ConnectionResetError):
        while data := client.recv(65_536):
            read += data
    return read


def one(client):
    """(status, headers, body) of an answer with a length."""
    read = b""
    while b"\r\n\r\n" not in read:
        data = client.recv(65_536)
        assert data, read
        read += data
    start, _, body = read.partition(b"\r\n\r\n")
    first, *lines = start.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    while len(body) < int(headers.get("content-length", 0)):
        body += client.recv(65_536)
    return int(first.split()[1]), headers, body


class TestTrailers:
    @pytest.mark.parametrize("trailer", ["Authorization: Bearer sk", "Expect: 100-continue", "Host: y"])
    def test_what_is_in_one_counts_for_nothing(self, connect, trailer):
        client = connect()
        chunked = head(Transfer_Encoding="chunked")
        client.sendall(chunked + f"5\r\nhello\r\n0\r\n{trailer}\r\n\r\n".encode())
        status, _, body = one(client)
        assert (status, json.loads(body)) == (200, {"size": 5, "headers": ["host", "transfer-encoding"]})

    def test_nor_when_it_comes_before_the_application_looks(self, connect, application):
        client = connect()
        client.sendall(head("/unread", Transfer_Encoding="chunked"))
        client.sendall(b"5\r\nhello\r\n0\r\nAuthorization: Bearer sk\r\n\r\n")
        application.release.set()
        assert json.loads(one(client)[2])["headers"] == ["host", "transfer-encoding"]


class TestBytes:
    @pytest.mark.parametrize(
        "start",
        {
            "a header": b"GET / HTTP/1.1\r\nX: ",
            "its name": b"GET / HTTP/1.1\r\n",
            "a target": b"GET /",
            "a trailer": head(Transfer_Encoding="chunked") + b"1\r\nx\r\n0\r\nX: ",
            "a chunk's extension": head(Transfer_Encoding="chunked") + b"1;x=",
        }.values(),
        ids=["a header", "its name", "a target", "a trailer", "a chunk's extension"],
    )
    def test_one_without_an_end_is_refused_after_its_bound(self, connect, narrow, start):
        client, sent = connect(), 0
        with suppress(OSError):
            client.sendall(start)
            while sent < 50 * 2**20:
                client.sendall(b"x" * 65_536)
                sent += 65_536
        said = everything(client)
        assert said == b"" or said.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
        assert sent < 50 * 2**20

    @pytest.mark.parametrize(
        "headers",
        [
            b"".join(b"X-%d: y\r\n" % n for n in range(protocol.MAX_HEADERS)),
            b"X: " + b"y" * protocol.MAX_HEAD_BYTES + b"\r\n",
            b"X: " + b"y" * 30_000 + b"\r\nY: " + b"y" * 40_000 + b"\r\n",
        ],
    )
    def test_a_head_that_is_too_large_is_refused_and_nothing_of_it_answered(
        self, connect, application, headers
    ):
        client = connect()
        client.sendall(b"POST /told HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
        status, _, body = one(client)
        assert (status, json.loads(body)["error"]["type"]) == (431, "invalid_request_error")
        assert not application.began.is_set()

    @pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/messages/count_tokens"])
    def test_it_is_refused_in_the_shape_of_the_api_that_it_asks_for(self, connect, path):
        client = connect()
        client.sendall(head(path)[:-2] + b"X: " + b"y" * protocol.MAX_HEAD_BYTES + b"\r\n\r\n")
        status, _, body = one(client)
        refused = json.loads(body)
        assert (status, refused["type"]) == (431, "error")
        assert (
            refused["error"]["type"] == "invalid_request_error" and "headers" in refused["error"]["message"]
        )

    def test_one_of_just_its_bound_is_answered(self, connect):
        client, counted = connect(), len("/told" + "Host" + "x" + "X")
        value = b"y" * (protocol.MAX_HEAD_BYTES - counted)
        client.sendall(b"GET /told HTTP/1.1\r\nHost: x\r\nX: " + value + b"\r\n\r\n")
        assert one(client)[0] == 200


class TestTime:
    @pytest.mark.parametrize("sent", [b"GET /to", b"GET /told HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n"])
    def test_a_head_that_does_not_come_is_not_waited_for(self, connect, quick, sent):
        client = connect()
        client.sendall(sent)
        assert one(client)[0] == 408
        assert everything(client) == b""

    def test_nor_one_that_trickles(self, connect, quick):
        client = connect()
        client.sendall(b"GET /told HTTP/1.1\r\nX: ")
        with suppress(OSError):
            for _ in range(100):
                client.sendall(b"x")
                time.sleep(0.02)
                client.setblocking(False)
                with suppress(BlockingIOError):
                    assert client.recv(100).startswith(b"HTTP/1.1 408")
                    return
                client.setblocking(True)
        pytest.fail("waited for")

    def test_a_connection_that_says_nothing_is_closed(self, connect, quick):
        assert everything(connect()) == b""

    @pytest.mark.parametrize("body", [b"", b"x" * 99])
    def test_a_body_that_does_not_come_is_not_waited_for_and_its_client_counts_as_gone(
        self, connect, quick, application, body
    ):
        client = connect()
        client.sendall(head(Content_Length=100) + body)
        assert one(client)[0] == 408
        assert application.gone.wait(10)
        assert everything(client) == b""

    @pytest.mark.parametrize("sent", [b"", b"5\r\nhello\r\n", b"5\r\nhel", b"5", b"0\r\nX: y"])
    def test_one_in_chunks_that_stalls_is_not_waited_for_either(self, connect, quick, application, sent):
        client = connect()
        client.sendall(head(Transfer_Encoding="chunked") + sent)
        status, _, body = one(client)
        assert (status, json.loads(body)["error"]["code"]) == (408, "request_timeout")
        assert application.gone.wait(10)
        assert everything(client) == b""

    @pytest.mark.parametrize(
        "sent",
        [head("/v1/messages", Content_Length=9), b"POST /v1/messages HTTP/1.1\r\nX: "],
        ids=["body", "head"],
    )
    def test_who_is_late_reads_so_in_the_shape_of_its_api(self, connect, quick, sent):
        client = connect()
        client.sendall(sent)
        status, _, body = one(client)
        refused = json.loads(body)
        assert (status, refused["type"], refused["error"]["type"]) == (408, "error", "invalid_request_error")

    def test_a_body_that_nobody_reads_is_not_late(self, connect, quick, application):
        client = connect()
        body = b"x" * 5_000_000
        client.settimeout(30)
        sender = threading.Thread(
            target=client.sendall, args=(head("/unread", Content_Length=len(body)) + body,)
        )
        sender.start()
        application.began.wait(10)
        time.sleep(3 * protocol.BODY_CHECK_S)  # longer than a late one may take
        application.release.set()
        assert json.loads(one(client)[2])["size"] == len(body)
        sender.join()

    def test_a_request_after_another_on_the_same_connection_has_its_own_time(self, connect, quick):
        client = connect()
        for _ in range(3):
            client.sendall(head(Content_Length=2) + b"{}")
            assert one(client)[0] == 200
            time.sleep(0.5 * protocol.HEAD_S)
        client.sendall(b"GET /to")
        assert one(client)[0] == 408


class TestEnds:
    def test_http_1_0_gets_no_chunks(self, connect):
        client = connect()
        client.sendall(head("/parts", version="1.0", method="GET"))
        start, _, body = everything(client).partition(b"\r\n\r\n")
        assert body == b"".join(CHUNKS)
        assert b"transfer-encoding" not in start.lower()
        assert b"connection: close" in start.lower()

    def test_http_1_1_gets_chunks_and_goes_on(self, connect):
        client = connect()
        client.sendall(head("/parts", method="GET") + head(Content_Length=0))
        read = b""
        while read.count(b"HTTP/1.1 200") < 2:
            read += client.recv(65_536)
        assert b"transfer-encoding: chunked" in read

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    @pytest.mark.parametrize("path", ["/late", "/parts"])
    def test_a_client_that_has_ended_its_side_gets_its_answer(self, connect, application, path, version):
        client = connect()
        client.sendall(head(path, version=version, Content_Length=2) + b"{}")
        client.shutdown(socket.SHUT_WR)
        application.began.wait(10)
        time.sleep(3 * protocol.PROBE_S)
        application.release.set()
        read = everything(client)
        final = read.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert final.startswith(b"HTTP/1.1 200")
        assert (b"three" if path == "/parts" else b'"size": 2') in final
        assert not application.gone.is_set()

    def test_one_that_ends_in_the_middle_of_its_request_is_gone(self, connect, application):
        client = connect()
        client.sendall(head(Content_Length=100) + b"{}")
        application.began.wait(10)
        client.shutdown(socket.SHUT_WR)
        assert application.gone.wait(10)
        assert everything(client) == b""

    def test_one_that_hangs_up_in_the_middle_of_a_stream_is_noticed_at_once(self, connect, application):
        client = connect()
        client.sendall(head("/streams", Content_Length=2) + b"{}")
        assert b"one" in client.recv(65_536)
        client.close()
        assert application.gone.wait(2)

    def test_a_client_that_hangs_up_is_noticed_before_anything_is_sent(self, connect, application):
        client = connect()
        client.sendall(head("/late", Content_Length=2) + b"{}")
        application.began.wait(10)
        client.close()
        assert application.gone.wait(2)

    @pytest.mark.parametrize("ends", ["keep-alive", "close"])
    def test_who_still_sends_its_body_when_it_is_answered_reads_the_answer(self, connect, ends):
        client = connect()
        body = b"x" * 700_000
        client.sendall(head("/no", Content_Length=len(body), Connection=ends))
        time.sleep(0.1)  # it is answered by now
        client.sendall(body)
        assert one(client)[0] == 401
        if ends == "keep-alive":
            client.sendall(head(Content_Length=0))
            assert one(client)[0] == 200
        else:
            assert everything(client) == b""

    def test_a_body_that_goes_on_and_on_after_the_answer_is_cut_off(self, connect, narrow):
        client, sent = connect(), 0
        client.sendall(head("/no", Content_Length=10**12))
        with suppress(OSError):
            while sent < 50 * 2**20:
                client.sendall(b"x" * 65_536)
                sent += 65_536
        assert sent < 50 * 2**20

    def test_who_asks_before_it_sends_and_is_refused_is_not_waited_for(self, connect, quick):
        client = connect()
        client.sendall(head("/no", Content_Length=100, Expect="100-continue"))
        assert one(client)[0] == 401
        assert everything(client) == b""
