"""An engine of KubeAI's that needs no GPU, Infinity, with what the KubeAI renderer says of it.

Given here is what its operator gives in a cluster: the command `v2`, and variables that name the model, its
place, the port and the prefix of paths (engine_infinity.go of kubeai-project/kubeai).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.catalog.fields import Task
from slipway.objectstore import ObjectStore
from slipway.runtimes.kubeai import render as kubeai
from slipway.stack.ports import free_ports
from testbed import server_processes
from testbed.vllm import environments, tiny_models
from testbed.weights import COMMIT

from .conftest import IMAGE, Gateway, ask, route, settings

# What Infinity has to know to run on a CPU without kernels of its own.
ARGS = ("--device=cpu", "--no-bettertransformer")


def resolved(model: str) -> ResolvedDeployment:
    written = {
        "name": model,
        "model": model,
        "runtime": "kubeai",
        "engine": "infinity",
        "args": ARGS,
        "resources": {"profile": "cpu:1"},
        "env": {"OMP_NUM_THREADS": "1"},
    }
    return ResolvedDeployment(
        deployment=Deployment.model_validate(written),
        engine=Engine(name="infinity", server="infinity"),
        model=ResolvedArtifact(name=model, source="file:///made", commit=COMMIT),
        task=tiny_models.TASKS[model],
        image=IMAGE,
    )


@dataclass(frozen=True)
class Running:
    """Infinity with one model."""

    name: str
    task: Task
    url: str


@pytest.fixture(scope="module", params=["embedder", "reranker"])
def running(
    request: pytest.FixtureRequest, store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("infinity")
    spec = resolved(request.param)
    rendered = kubeai.render(spec, settings(store, kubeai_cache_profile="shared"))
    (model,) = (each for each in rendered.objects if each["kind"] == "Model")
    name, written = model["metadata"]["name"], model["spec"]
    assert (written["engine"], written["cacheProfile"]) == ("Infinity", "shared")
    (port,) = free_ports(1)
    python = environments.interpreter("infinity")
    operators = {
        "INFINITY_MODEL_ID": str(_cached(store, spec, home / "models")),
        "INFINITY_SERVED_MODEL_NAME": name,
        "INFINITY_URL_PREFIX": "/v1",
        "INFINITY_ENGINE": "torch",
        "INFINITY_PORT": str(port),
        # Neither a hub nor a counter of users is asked.
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "HOME": str(home),
    }
    log = home / "infinity.log"
    command = [str(python.with_name("infinity_emb")), "v2", *written["args"]]
    environment = {"PATH": os.environ["PATH"], **operators, **written["env"]}
    with server_processes.process(command, log, environment) as started:
        url = f"http://127.0.0.1:{port}"
        server_processes.wait_until_answered(f"{url}/health", log, by=started)
        yield Running(name, spec.task, url)


def _cached(store: ObjectStore, spec: ResolvedDeployment, directory: Path) -> Path:
    """What the loader's Job copies to the shared volume."""
    directory.mkdir()
    for item in store.list(spec.model.prefix):
        (directory / Path(item.key).name).write_bytes(store.get(item.key))
    return directory


def test_the_gateway_passes_it_on_with_its_counts(running: Running, gateway: Gateway) -> None:
    public = f"tiny/infinity-{running.task}"
    table = route(public, running.url, running.name).model_copy(update={"task": running.task})
    gateway.route(table)
    gateway.new_events()
    if running.task == "embedding":
        reply = gateway.ask("/v1/embeddings", {"model": public, "input": ["the capital", "of france"]})
        assert [len(each["embedding"]) for each in reply.json["data"]] == [64, 64]
    else:
        body = {"model": public, "query": "a query", "documents": ["paris is", "rivers"]}
        reply = gateway.ask("/v1/rerank", body)
        assert sorted(each["index"] for each in reply.json["results"]) == [0, 1]
    assert (reply.status, reply.json["model"]) == (200, public)
    (event,) = gateway.new_events()
    assert (event["status"], event["counted_by"]) == ("success", "engine")
    # Its own figure, which is characters, not tokens.
    assert event["input_tokens"] == reply.json["usage"]["prompt_tokens"] > 0
    assert event.get("documents", 0) == (0 if running.task == "embedding" else 2)


def test_it_lists_the_model_by_the_name_of_the_object(running: Running) -> None:
    assert [each["id"] for each in ask(f"{running.url}/v1/models").json["data"]] == [running.name]
