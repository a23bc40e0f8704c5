"""Dynamo's own frontend and router before its mock workers, with what our renderer puts into containers.

Given here is what its operator gives in a cluster: command, namespace, discovery, ports; and the claim of
weights. The worker is Dynamo's mock of vLLM, which takes the model and its name, none of vLLM's arguments.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.objectstore import ObjectStore
from slipway.runtimes.dynamo import render as dynamo
from slipway.stack.ports import free_ports
from testbed import server_processes
from testbed.vllm import environments, serving
from testbed.weights import COMMIT

from .conftest import IMAGE, Gateway, ask, route, settings
from .promises import is_valid

NAME = "tiny/graph"
VERSION = "1.6.1"


def resolved(**fields: Any) -> ResolvedDeployment:
    image, _, digest = IMAGE.partition("@")
    images = {"cpu": {"image": image, "tag": VERSION, "digest": digest}}
    written = {"name": "text", "model": "text", "runtime": "dynamo", "engine": "dynamo", **fields}
    return ResolvedDeployment(
        deployment=Deployment.model_validate(written),
        engine=Engine.model_validate({"name": "dynamo", "server": "dynamo", "images": images}),
        model=ResolvedArtifact(name="text", source="file:///made", commit=COMMIT),
        image=IMAGE,
    )


@dataclass(frozen=True)
class Graph:
    """A running graph of one frontend and one worker."""

    spec: ResolvedDeployment
    url: str
    worker_url: str


@pytest.fixture(scope="module", params=["least-load", "prefix-hash"])
def graph(
    request: pytest.FixtureRequest, store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Graph]:
    """One for each way of balancing."""
    home = tmp_path_factory.mktemp("graph")
    spec = resolved(load_balancing={"strategy": request.param})
    rendered = dynamo.render(spec, settings(store, weights_claim="weights"))
    (made,) = (each for each in rendered.objects if each["kind"] == "DynamoGraphDeployment")
    containers = {
        each["type"]: each["podTemplate"]["spec"]["containers"][0] for each in made["spec"]["components"]
    }
    weights = _claim(store, home / "models")
    (front,) = free_ports(1)
    system = _port_of_16_bits()
    operators = {
        "DYN_NAMESPACE": "slipway-text",
        "DYN_DISCOVERY_BACKEND": "file",
        "DYN_FILE_KV": str(home / "discovery"),
    }
    secrets = serving.secrets_of(store.location)
    python = environments.interpreter("dynamo")
    with ExitStack() as running:
        worker = serving.environment_of(containers["worker"], secrets, home / "cache") | operators
        worker["DYN_SYSTEM_PORT"] = str(system)
        command = [str(python), "-m", "dynamo.mocker", *_mocked(containers["worker"]["args"], weights)]
        running.enter_context(server_processes.process(command, home / "worker.log", worker))
        frontend = serving.environment_of(containers["frontend"], secrets, home / "cache") | operators
        frontend["DYN_HTTP_PORT"] = str(front)
        log = home / "frontend.log"
        running.enter_context(server_processes.process([str(python), "-m", "dynamo.frontend"], log, frontend))
        url = f"http://127.0.0.1:{front}"
        server_processes.wait_until_answered(f"{url}/health", log)
        _wait_until_listed(url, home / "worker.log")
        yield Graph(spec, url, f"http://127.0.0.1:{system}")


def _port_of_16_bits() -> int:
    """A free one that Dynamo reads: its worker takes it for a signed number of 16 bits."""
    for port in range(20_000, 32_000):
        with socket.socket() as probed, suppress(OSError):
            probed.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _wait_until_listed(url: str, log: Path) -> None:
    deadline = time.monotonic() + server_processes.START_DEADLINE_S
    while not ask(f"{url}/v1/models").json["data"]:
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.05)


def _claim(store: ObjectStore, mounted: Path) -> Path:
    """A copy of the store's weights, as the claim has them."""
    for item in store.list(f"weights/text/{COMMIT}/"):
        file = mounted / item.key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(store.get(item.key))
    return mounted


def _mocked(args: list[str], weights: Path) -> list[str]:
    given = dict(arg.removeprefix("--").split("=", 1) for arg in args if "=" in arg)
    path = given["model"].replace("/models", str(weights), 1)
    return [f"--model-path={path}", f"--model-name={given['served-model-name']}", "--speedup-ratio=10"]


def test_a_revision_of_it_passes_validation(graph: Graph) -> None:
    is_valid(graph.spec, f"{graph.url}/v1")


@pytest.mark.parametrize("streamed", [False, True])
def test_the_gateway_passes_it_on_with_its_counts(graph: Graph, gateway: Gateway, streamed: bool) -> None:
    gateway.route(route(NAME, graph.url, "text"))
    gateway.new_events()
    body = {"model": NAME, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
    reply = gateway.ask("/v1/chat/completions", {**body, "stream": streamed})
    assert reply.status == 200, reply.body
    (event,) = gateway.new_events()
    assert (event["status"], event["counted_by"], event["output_tokens"]) == ("success", "engine", 5)
    assert event["input_tokens"] > 0


def test_a_model_that_it_does_not_know_is_not_found(graph: Graph) -> None:
    assert ask(f"{graph.url}/v1/completions", {"model": "other", "prompt": "a"}).status == 404


def test_its_workers_metrics_have_the_name_that_autoscaling_reads(graph: Graph, store: ObjectStore) -> None:
    scaled = resolved(autoscaling={"max_replicas": 2, "target": {"queue_depth": 4}})
    more = {"weights_claim": "weights", "prometheus_url": "http://prometheus:9090"}
    rendered = dynamo.render(scaled, settings(store, **more))
    (scaler,) = (each for each in rendered.objects if each["kind"] == "ScaledObject")
    (name,) = re.findall(r"vllm:\w+", scaler["spec"]["triggers"][0]["metadata"]["query"])
    assert re.search(rf"^{name}\b", ask(f"{graph.worker_url}/metrics").body.decode(), re.M)
