"""llama.cpp as a process of its own, as it runs in a pod: the demo's model from a real store."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.catalog.deployment import Validation
from slipway.dataplane.validation import validation
from slipway.environment import S3Location
from slipway.records import revisions
from slipway.records.revisions import Applied

from .conftest import Running, Server, environment, spec


@pytest.fixture(scope="module")
def server(running: Running) -> Iterator[Server]:
    """A running engine with what a renderer tells it."""
    with running(spec("chat", "--ctx-size=512", "--parallel=2")) as engine:
        yield engine


@pytest.fixture(scope="module")
def reranker(running: Running) -> Iterator[Server]:
    """llama.cpp with a model that ranks."""
    with running(spec("ranks", "--ctx-size=256", model="tiny-reranker", task="rerank")) as engine:
        yield engine


def test_it_says_which_spec_it_serves_and_answers_tenants(server: Server) -> None:
    status, body = server.ask("/-/spec")
    assert (status, json.loads(body)["spec_digest"]) == (200, server.spec.spec_digest)
    asked = {"model": "chat", "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}
    status, body = server.ask("/v1/completions", asked)
    assert status == 200 and "Paris" in json.loads(body)["choices"][0]["text"]


def test_it_answers_the_other_shapes_of_text_generation(server: Server) -> None:
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    status, body = server.ask(
        "/v1/messages", {"model": "chat", "max_tokens": 12, "temperature": 0, "messages": messages}
    )
    answer = json.loads(body)
    assert status == 200 and answer["type"] == "message" and answer["content"][0]["text"]
    status, body = server.ask("/v1/messages/count_tokens", {"model": "chat", "messages": messages})
    assert (status, json.loads(body)["input_tokens"]) == (200, answer["usage"]["input_tokens"])
    asked = {
        "model": "chat",
        "input": "What is the capital of France?",
        "max_output_tokens": 12,
        "temperature": 0,
    }
    status, body = server.ask("/v1/responses", asked)
    assert status == 200 and json.loads(body)["output"][0]["content"][0]["text"]


def test_its_load_is_told_to_scalers_and_to_prometheus(server: Server) -> None:
    assert server.ask("/-/load") == (200, b'{"ongoing":0,"waiting":0}')
    status, text = server.ask("/metrics")
    assert status == 200 and b"\nslipway_engine_requests_in_flight 0\n" in text


def test_a_model_that_embeds_passes_validation_and_generates_nothing(running: Running) -> None:
    embedder = spec("embed", "--ctx-size=512", "--pooling=mean", task="embedding")
    with running(embedder) as engine:
        applied = Applied("embed", "embed", embedder.spec_digest, {})
        record = revisions.of(embedder, applied, f"{engine.url}/v1", datetime.now(UTC))
        results = {each.name: each for each in validation.validate(record, Validation())}
        assert [each.message for each in results.values() if not each.passed] == []
        found = results["answer"].evidence["embed"]
        assert found["dimensions"] == 576  # hidden_size of SmolLM2-135M
        assert found["norm"] == pytest.approx(1, abs=1e-3)  # llama.cpp normalizes
        asked = {"model": "embed", "prompt": "The capital of France is"}
        assert engine.ask("/v1/completions", asked)[0] == 404


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank"])
def test_a_model_that_was_made_for_it_reranks(reranker: Server, path: str) -> None:
    asked = {
        "model": "ranks",
        "query": "what is the capital of france ?",
        "documents": ["bees", "paris", "honey"],
    }
    status, body = reranker.ask(path, {**asked, "top_n": 2})
    answer = json.loads(body)
    scores = [each["relevance_score"] for each in answer["results"]]
    assert status == 200 and len(scores) == 2 and scores[0] > scores[1]
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0


def test_it_passes_validation_and_generates_nothing(reranker: Server) -> None:
    applied = Applied("ranks", "ranks", reranker.spec.spec_digest, {})
    record = revisions.of(reranker.spec, applied, f"{reranker.url}/v1", datetime.now(UTC))
    assert [each.message for each in validation.validate(record, Validation()) if not each.passed] == []
    assert reranker.ask("/v1/completions", {"model": "ranks", "prompt": "what"})[0] == 404


def test_what_is_not_the_api_is_not_found(server: Server) -> None:
    assert server.ask("/slots")[0] == 404


def test_told_to_end_it_finishes_the_request_that_it_has(server: Server) -> None:
    """The last test: it ends the server."""
    asked = {"model": "chat", "prompt": "Once", "max_tokens": 60, "stream": True, "ignore_eos": True}
    request = urllib.request.Request(server.url + "/v1/completions", json.dumps(asked).encode())
    with urllib.request.urlopen(request, timeout=120) as reply:
        first = reply.readline()
        server.process.send_signal(signal.SIGTERM)
        rest = reply.read()
    assert first.startswith(b"data:") and rest.rstrip().endswith(b"[DONE]")
    assert server.process.wait(timeout=120) == 0


def test_an_argument_that_no_engine_takes_ends_in_one_line(tmp_path: Path, seaweed: S3Location) -> None:
    refused = {"deployment": "c", "spec_digest": "d", "served_name": "c", "model_prefix": "weights/m/1/"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "slipway.engines.standalone",
            json.dumps({**refused, "engine_args": ["--no=1"]}),
        ],
        env={**os.environ, **environment(seaweed, tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "engine argument --no=1: unknown to this engine" in done.stderr
    assert "Traceback" not in done.stderr
