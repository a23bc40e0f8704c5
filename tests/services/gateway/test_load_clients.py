"""Load clients that nobody here wrote run against a gateway without an error, and each request has its event.

`make test-load`: the clients take 6 GB. The engine is real: llama.cpp with the demo's model.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.records.routes import Route
from testbed import load
from testbed.engines.llamacpp import llamacpp

from .conftest import RunningGateway

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("SLIPWAY_LOAD_CLIENTS"), reason="`make test-load`: 6 GB of clients"
    ),
    pytest.mark.timeout(900),
]
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
PATHS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}


@pytest.fixture
def serving(gateway: RunningGateway, engine: str, route: Callable[..., Route]) -> RunningGateway:
    gateway.route(route("assistant", f"{engine}/v1"))
    return gateway


@pytest.fixture
def embedding(
    gateway: RunningGateway, tmp_path: Path, route: Callable[..., Route]
) -> Iterator[RunningGateway]:
    with llamacpp(tmp_path, embeds=True) as url:
        gateway.route(route("embedder", f"{url}/v1", task="embedding"))
        yield gateway


def assert_whole(serving: RunningGateway, ran: load.Ran, stream: bool) -> None:
    """Fails unless all that was asked was answered, and recorded as a success with the engine's own count."""
    assert (ran.answered, ran.failed) == (load.REQUESTS, 0), ran.said
    events = serving.events()
    assert [each["status"] for each in events] == ["success"] * len(events)
    assert sum(each["stream"] == stream for each in events) >= load.REQUESTS
    assert {each["counted_by"] for each in events} == {"engine"}


@STREAMED
@pytest.mark.parametrize("kind", PATHS)
def test_aiperf_runs_without_an_error(
    serving: RunningGateway, tmp_path: Path, kind: str, stream: bool
) -> None:
    ran = load.aiperf(serving.url, serving.secrets["acme"], "assistant", kind, tmp_path, stream=stream)
    assert_whole(serving, ran, stream)


@STREAMED
@pytest.mark.parametrize("path", PATHS.values())
def test_guidellm_runs_without_an_error(
    serving: RunningGateway, tmp_path: Path, path: str, stream: bool
) -> None:
    ran = load.guidellm(serving.url, serving.secrets["acme"], "assistant", path, tmp_path, stream=stream)
    assert_whole(serving, ran, stream)


def test_aiperf_asks_for_embeddings_without_an_error(embedding: RunningGateway, tmp_path: Path) -> None:
    key = embedding.secrets["acme"]
    ran = load.aiperf(embedding.url, key, "embedder", "embeddings", tmp_path, stream=False)
    assert_whole(embedding, ran, stream=False)


def test_guidellm_asks_for_embeddings_without_an_error(embedding: RunningGateway, tmp_path: Path) -> None:
    key = embedding.secrets["acme"]
    ran = load.guidellm(embedding.url, key, "embedder", "/v1/embeddings", tmp_path, stream=False)
    assert_whole(embedding, ran, stream=False)
