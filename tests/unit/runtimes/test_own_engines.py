"""Slipway's own engines wherever they are hosted: what each runtime tells them is what they read."""

import json
from typing import Any

import pytest
import yaml

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.catalog.fields import Task
from slipway.catalog.servers import OURS, SERVERS, ServerName
from slipway.engines import hosting
from slipway.runtimes import registry
from slipway.runtimes.ray import render
from slipway.runtimes.rendering.cluster_settings import ClusterSettings

TASKS: dict[ServerName, Task] = {
    "llama.cpp": "rerank",
    "onnxruntime": "embedding",
    "ctranslate2": "speech-to-text",
    "espeak-ng": "text-to-speech",
}


def resolved(server: ServerName, runtime: str, **fields: Any) -> ResolvedDeployment:
    return ResolvedDeployment(
        deployment=Deployment(
            name="d", model="m", runtime=runtime, engine="e", args=("--parallel", "2"), **fields
        ),
        engine=Engine(name="e", server=server),
        model=ResolvedArtifact(name="m", source="file:///m", commit="1" * 40),
        task=TASKS[server],
        image=f"registry.slipway.test/engine@sha256:{'0' * 64}" if runtime != "ray" else None,
    )


def test_each_of_them_has_a_module_and_does_something() -> None:
    assert set(hosting.MODULES) == set(OURS) == set(TASKS) == set(render.APPLICATIONS)
    assert all(TASKS[server] in SERVERS[server].tasks for server in OURS)


@pytest.mark.parametrize("server", OURS)
def test_what_ray_is_told_is_what_the_application_reads(server: ServerName) -> None:
    told = render.render(resolved(server, "ray"))
    path, _, build = told["import_path"].partition(":")
    module: Any = hosting.engine_module(server)
    assert (path, build) == (hosting.MODULES[server], "build") and hasattr(module, "build")
    assert [each["name"] for each in told["deployments"]] == [module.DEPLOYMENT]
    args = hosting.Args.model_validate(told["args"])
    assert (args.server, args.task, args.engine_args) == (server, TASKS[server], ("--parallel=2",))
    assert module.parse(args.engine_args).whole("--parallel") == 2


@pytest.mark.parametrize("server", OURS)
def test_kuberay_and_a_plain_pod_tell_them_the_same(server: ServerName, cluster: ClusterSettings) -> None:
    on_kuberay, in_pod = (
        next(
            each
            for each in registry.adapter(runtime).given(resolved(server, runtime), cluster)[0]
            if each["kind"] == kind
        )
        for runtime, kind in (("kuberay", "RayService"), ("vllm", "Deployment"))
    )
    (application,) = yaml.safe_load(on_kuberay["spec"]["serveConfigV2"])["applications"]
    container = in_pod["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "slipway.engines.standalone"]
    told = [application["args"], json.loads(container["args"][-1])]
    assert [{**each, "spec_digest": ""} for each in told] == [
        {**render.render(resolved(server, "ray"))["args"], "spec_digest": ""}
    ] * 2


def test_on_plain_ray_a_path_is_for_what_is_changed_in_place() -> None:
    in_place = resolved("onnxruntime", "ray", path="/embeddings", rollout={"strategy": "in-place"})
    assert render.render(in_place)["route_prefix"] == "/embeddings"
    refused = registry.adapter("ray").refusals
    assert refused(in_place.deployment, in_place.engine) == []
    beside = resolved("onnxruntime", "ray", path="/embeddings").deployment
    assert [field for field, _ in refused(beside, in_place.engine)] == ["path"]
