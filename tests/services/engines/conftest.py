"""Engines as processes of their own, as they run in a pod: weights from a real store, verified."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.catalog.fields import Task
from slipway.catalog.servers import ServerName
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.runtimes.rendering.own_app import app_args
from slipway.stack.ports import free_ports
from slipway.stack.standin_hub import demo, tasks
from testbed import stores, tiny_reranker
from testbed.weights import COMMIT, publish


@dataclass
class Server:
    """A running engine and what it was told."""

    process: subprocess.Popen[bytes]
    url: str
    spec: ResolvedDeployment
    log: Path

    def ask(self, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of a request."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        try:
            request = urllib.request.Request(self.url + path, data, headers)
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


Running = Callable[[ResolvedDeployment], AbstractContextManager[Server]]


def spec(
    name: str,
    *args: str,
    server: ServerName = "llama.cpp",
    model: str = "smollm2",
    task: Task = "text-generation",
) -> ResolvedDeployment:
    """A deployment in a plain pod."""
    return ResolvedDeployment(
        deployment=Deployment(name=name, model=model, runtime="vllm", engine="ours", args=args),
        engine=Engine(name="ours", server=server),
        model=ResolvedArtifact(name=model, source="file:///test", commit=COMMIT),
        task=task,
    )


@pytest.fixture(scope="session")
def weights(seaweed: S3Location) -> ObjectStore:
    """The demo's models, published when a test wants them."""
    store = ObjectStore(replace(seaweed, bucket="standalone"))
    store.ensure_bucket()
    return store


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where engines keep their logs, and the weights that they fetched."""
    return tmp_path_factory.mktemp("standalone")


@pytest.fixture(scope="session")
def running(weights: ObjectStore, home: Path) -> Running:
    """Starts engines, each with its weights published before."""
    published: set[str] = set()

    @contextmanager
    def run(spec: ResolvedDeployment) -> Iterator[Server]:
        if spec.model.name not in published:
            publish(
                weights,
                spec.model.name,
                {path: f.read_bytes() for path, f in _files(spec.model.name, home).items()},
            )
            published.add(spec.model.name)
        with _process(weights, home, spec) as server:
            yield server

    return run


def _files(model: str, scratch: Path) -> dict[str, Path]:
    if model == "tiny-reranker":
        return {"tiny.gguf": tiny_reranker.write(scratch / "tiny.gguf")}
    if model == "smollm2":
        file = demo.demo_model_file()
        return {file.name: file}
    data = {"whisper": tasks.WHISPER, "bge": tasks.EMBEDDER, "marco": tasks.RERANKER, "voice": tasks.VOICE}[
        model
    ]
    files = tasks.installed(data)
    if model != "voice":
        return files
    # English alone: hundreds of small files more would say nothing more.
    small = (
        "phondata",
        "phonindex",
        "phontab",
        "intonations",
        "en_dict",
        "lang/gmw/en",
        "voices/!v/f",
        "voices/!v/m",
    )
    return {path: file for path, file in files.items() if path.startswith(small)}


def environment(location: S3Location, home: Path) -> Mapping[str, str]:
    """What an engine reads of its environment."""
    return {
        "SLIPWAY_HOME": str(home),
        **stores.variables(location),
        "SLIPWAY_NODE_CACHE": str(home / "cache"),
    }


@contextmanager
def _process(store: ObjectStore, home: Path, spec: ResolvedDeployment) -> Iterator[Server]:
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
    server = Server(process, f"http://127.0.0.1:{port}", spec, log)
    try:
        _wait_until_healthy(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_until_healthy(server: Server) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if server.ask("/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the engine did not start:\n{server.log.read_text()[-4000:]}")
