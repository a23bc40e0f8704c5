"""KServe's own parts: what reads storage, with our Secret; its model server, with our arguments."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.artifacts.weights.manifest import Manifest
from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.objectstore import ObjectStore
from slipway.runtimes.cluster.store_secret import store_secret
from slipway.runtimes.kserve import render as kserve
from slipway.stack.ports import free_ports
from testbed import server_processes, weights
from testbed.vllm import environments

from .conftest import IMAGE, ask, settings

SERVER = Path(environments.__file__).with_name("kserve_server.py")
READ = "import sys; from kserve_storage import Storage; Storage.download(sys.argv[1], sys.argv[2])"
FILES = {"config.json": b"{}", "deep/model.safetensors": b"weights" * 100_000}


@pytest.fixture(scope="module")
def python() -> Path:
    return environments.interpreter("kserve")


@pytest.fixture(scope="module")
def published(store: ObjectStore) -> Manifest:
    return weights.publish(store, "labels", FILES)


@pytest.fixture(scope="module")
def predictor(store: ObjectStore, published: Manifest) -> Any:
    """What KServe is told of the model."""
    deployment = {"name": "labels", "model": "labels", "runtime": "kserve", "engine": "huggingface"}
    spec = ResolvedDeployment(
        deployment=Deployment.model_validate(deployment),
        engine=Engine(name="huggingface", server="huggingface"),
        model=ResolvedArtifact(name="labels", source=published.source, commit=published.commit),
        task="rerank",
        context_length=512,
        image=IMAGE,
    )
    rendered = kserve.render(spec, settings(store))
    (service,) = (each for each in rendered.objects if each["kind"] == "InferenceService")
    return service["spec"]["predictor"]["model"]


@pytest.fixture(scope="module")
def server(python: Path, predictor: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The model server with the arguments of its container; the port is KServe's to say."""
    (port,) = free_ports(1)
    log = tmp_path_factory.mktemp("kserve") / "server.log"
    command = [str(python), str(SERVER), f"--http_port={port}", *predictor["args"]]
    with server_processes.process(command, log) as started:
        url = f"http://127.0.0.1:{port}"
        server_processes.wait_until_answered(f"{url}/v2/health/ready", log, by=started)
        yield url


def test_its_storage_reads_published_weights_with_our_secret(
    python: Path, predictor: Any, store: ObjectStore, published: Manifest, tmp_path: Path
) -> None:
    location = store.location
    address = settings(store).store
    secret = store_secret(address, "tenant", location.access_key, location.secret_key)
    environment = {"PATH": os.environ["PATH"], **_injected(secret)}
    command = [str(python), "-c", READ, predictor["storageUri"], str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES


def _injected(secret: Any) -> dict[str, str]:
    """What KServe's webhook makes of a Secret (pkg/credentials/s3 of kserve/kserve, s3_secret.go)."""
    said = {key.removeprefix("serving.kserve.io/"): v for key, v in secret["metadata"]["annotations"].items()}
    scheme = "http" if said["s3-usehttps"] == "0" else "https"
    return {
        **secret["stringData"],
        "S3_ENDPOINT": said["s3-endpoint"],
        "S3_USE_HTTPS": said["s3-usehttps"],
        "AWS_ENDPOINT_URL": f"{scheme}://{said['s3-endpoint']}",
        "AWS_DEFAULT_REGION": said["s3-region"],
        "S3_USER_VIRTUAL_BUCKET": said["s3-usevirtualbucket"],
    }


def test_its_server_takes_our_arguments_and_answers_under_our_name(server: str) -> None:
    assert ask(f"{server}/v2/models/labels/ready").json["ready"] is True
    assert ask(f"{server}/v2/models/other/ready").status == 404


def test_it_answers_in_the_open_inference_protocol(server: str) -> None:
    tensor = {"name": "input-0", "shape": [2], "datatype": "BYTES", "data": ["a text", "a much longer text"]}
    reply = ask(f"{server}/v2/models/labels/infer", {"inputs": [tensor]})
    assert reply.status == 200, reply.body
    assert reply.json["outputs"][0]["data"] == ["short", "long"]


def test_it_answers_in_the_protocol_before_that(server: str) -> None:
    reply = ask(f"{server}/v1/models/labels:predict", {"instances": ["a text", "a much longer text"]})
    assert reply.json == {"predictions": ["short", "long"]}
