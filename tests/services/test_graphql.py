"""One GraphQL call of a real server: its data, or why there is none."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway import graphql


class Server(ThreadingHTTPServer):
    """Answers each query with what the test puts in `answer`."""

    answer: tuple[int, bytes] = (200, b"{}")
    asked: dict[str, object] = {}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked = {"path": self.path, **json.loads(body)}
        status, answer = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_data_comes_back_and_a_proxy_of_the_environment_is_not_asked(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.answer = (200, b'{"data": {"runs": 3}}')
    assert graphql.ask(url, "{ runs }", {"limit": 1}) == {"runs": 3}
    assert server.asked == {"path": "/graphql", "query": "{ runs }", "variables": {"limit": 1}}


@pytest.mark.parametrize(
    ("answer", "words"), [((500, b""), "answers 500"), ((200, b"<html>"), "answers what is not JSON")]
)
def test_a_server_that_does_not_answer_as_it_should_is_unreachable_with_its_url(
    server: Server, url: str, answer: tuple[int, bytes], words: str
) -> None:
    server.answer = answer
    with pytest.raises(graphql.UnreachableError, match=f"{url}/graphql {words}"):
        graphql.ask(url, "{ runs }")


def test_nobody_there_is_unreachable_too(server: Server, url: str) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match=f"{url}/graphql does not answer: "):
        graphql.ask(url, "{ runs }")


def test_a_refusal_has_the_words_of_the_server(server: Server, url: str) -> None:
    server.answer = (200, b'{"errors": [{"message": "no field runz"}], "data": null}')
    with pytest.raises(graphql.RefusedError, match="no field runz"):
        graphql.ask(url, "{ runz }")
