"""llama.cpp as a process of its own, as it runs in a pod: the demo's model from a real store."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.catalog.deployment import Validation
from slipway.catalog.fields import Task
from slipway.dataplane.validation import validation
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.records import revisions
from slipway.records.revisions import Applied
from slipway.runtimes.rendering.own_app import app_args
from slipway.stack.ports import free_ports
from slipway.stack.standin_hub import demo
from testbed import stores
from testbed.weights import COMMIT, publish_file


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    url: str
    spec: ResolvedDeployment
    log: Path

    def ask(self, path: str, body: Any = None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data), timeout=120) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where engines keep their logs, and the weights that they fetched."""
    return tmp_path_factory.mktemp("standalone")


@pytest.fixture(scope="module")
def weights(seaweed: S3Location) -> ObjectStore:
    """The demo's model, published."""
    store = ObjectStore(replace(seaweed, bucket="standalone"))
    store.ensure_bucket()
    publish_file(store, "smollm2", demo.demo_model_file())
    return store


@pytest.fixture(scope="module")
def server(weights: ObjectStore, home: Path) -> Iterator[Server]:
    """A running engine with what a renderer tells it."""
    with running_engine(weights, home, spec("chat", "--ctx-size=512", "--parallel=2")) as engine:
        yield engine


def spec(name: str, *args: str, task: Task = "text-generation") -> ResolvedDeployment:
    return ResolvedDeployment(
        deployment=Deployment(name=name, model="smollm2", runtime="vllm", engine="llama", args=args),
        engine=Engine(name="llama", server="llama.cpp"),
        model=ResolvedArtifact(name="smollm2", source="file:///test", commit=COMMIT),
        task=task,
    )


@contextmanager
def running_engine(store: ObjectStore, home: Path, spec: ResolvedDeployment) -> Iterator[Server]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "slipway.engines.standalone", "--host=127.0.0.1", f"--port={port}"]
    log = home / f"{spec.name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--drain-s=10", json.dumps(app_args(spec))],
            env={**os.environ, **environment(store.location, home)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    running = Server(process, f"http://127.0.0.1:{port}", spec, log)
    try:
        wait_until_healthy(running)
        yield running
    finally:
        process.kill()
        process.wait()


def environment(location: S3Location, home: Path) -> dict[str, str]:
    return {
        "SLIPWAY_HOME": str(home),
        **stores.variables(location),
        "SLIPWAY_NODE_CACHE": str(home / "cache"),
    }


def wait_until_healthy(server: Server) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if server.ask("/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the engine did not start:\n{server.log.read_text()[-4000:]}")


def test_it_says_which_spec_it_serves_and_answers_tenants(server: Server) -> None:
    status, body = server.ask("/-/spec")
    assert (status, json.loads(body)["spec_digest"]) == (200, server.spec.spec_digest)
    asked = {"model": "chat", "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}
    status, body = server.ask("/v1/completions", asked)
    assert status == 200 and "Paris" in json.loads(body)["choices"][0]["text"]


def test_its_load_is_told_to_scalers_and_to_prometheus(server: Server) -> None:
    assert server.ask("/-/load") == (200, b'{"ongoing":0,"waiting":0}')
    status, text = server.ask("/metrics")
    assert status == 200 and b"\nslipway_engine_requests_in_flight 0\n" in text


def test_a_model_that_embeds_passes_validation_and_generates_nothing(
    weights: ObjectStore, home: Path
) -> None:
    embedder = spec("embed", "--ctx-size=512", "--pooling=mean", task="embedding")
    with running_engine(weights, home, embedder) as engine:
        applied = Applied("embed", "embed", embedder.spec_digest, {})
        record = revisions.of(embedder, applied, f"{engine.url}/v1", datetime.now(UTC))
        results = {each.name: each for each in validation.validate(record, Validation())}
        assert [each.message for each in results.values() if not each.passed] == []
        found = results["answer"].evidence["embed"]
        assert found["dimensions"] == 576  # hidden_size of SmolLM2-135M
        assert found["norm"] == pytest.approx(1, abs=1e-3)  # llama.cpp normalizes
        asked = {"model": "embed", "prompt": "The capital of France is"}
        assert engine.ask("/v1/completions", asked)[0] == 404


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
