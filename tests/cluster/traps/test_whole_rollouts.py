"""On every operator's runtime: applied, waited for, validated and routed, under the names of its engines.

Belongs here: the whole way of a revision, with doubles of operators and engines.
Does not: traps (test_traps_of_*.py), plain Deployments, which run for real (../rollouts).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from click.testing import CliRunner
from kubernetes.client import ApiClient

from slipway.catalog import Catalog, Engine, ResolvedDeployment
from slipway.catalog.deployment import Validation
from slipway.commands import main as cli
from slipway.control import rollout
from slipway.control.routing import Target, routes_of
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.validation import validation
from slipway.objectstore import ObjectStore
from slipway.records.revisions import Revision, RevisionStore
from testbed import stores
from testbed.cluster.objects import Object, Objects

from ..runtimes.rich import cluster_settings
from . import engine_double as engines
from .dynamo_double import DynamoDouble
from .kserve_double import InferenceServiceDouble, LLMInferenceServiceDouble
from .kubeai_double import KubeAIDouble
from .kubelet_double import KubeletDouble
from .kuberay_double import KubeRayDouble
from .leaderworkerset_double import LeaderWorkerSetDouble
from .nim_double import NimDouble
from .operator_double import OperatorDouble
from .rolling import revision


@dataclass(frozen=True)
class Case:
    """A runtime's operator, how it names models, and what the engine is to be asked for."""

    runtime: str
    operator: type[OperatorDouble]
    names: engines.Names
    crds: tuple[str, ...]
    asked: Callable[[ResolvedDeployment], list[str]]
    fields: dict[str, Any] = field(default_factory=dict)
    server: str = "vllm"


ADAPTED = {"adapters": ["tone"]}
CASES = {
    "LeaderWorkerSet": Case(
        "vllm",
        LeaderWorkerSetDouble,
        engines.of_leaderworkerset,
        ("leaderworkerset.x-k8s.io_leaderworkersets",),
        lambda spec: [spec.name, "tone"],
        {**ADAPTED, "nodes_per_replica": 2, "resources": {"gpu": {"count": 8}}},
    ),
    "KubeAI": Case(
        "kubeai",
        KubeAIDouble,
        engines.of_kubeai,
        ("kubeai.org_models",),
        lambda spec: [spec.revision_name, f"{spec.revision_name}_tone"],
        ADAPTED,
    ),
    "KubeRay": Case(
        "kuberay",
        KubeRayDouble,
        engines.of_kuberay,
        ("ray.io_rayservices",),
        lambda spec: [spec.name, f"{spec.name}:tone/{'1' * 40}"],
        ADAPTED,
    ),
    "InferenceService": Case(
        "kserve",
        InferenceServiceDouble,
        engines.of_inferenceservice,
        ("serving.kserve.io_inferenceservices",),
        lambda spec: [spec.name],
    ),
    "LLMInferenceService": Case(
        "kserve",
        LLMInferenceServiceDouble,
        engines.of_llminferenceservice,
        ("serving.kserve.io_llminferenceservices",),
        lambda spec: [spec.name, "tone"],
        ADAPTED,
    ),
    "NIM": Case(
        "nim",
        NimDouble,
        engines.of_nim,
        ("apps.nvidia.com_nimservices",),
        lambda spec: [spec.name],
        server="nim",
    ),
    "Dynamo": Case(
        "dynamo",
        DynamoDouble,
        engines.of_dynamo,
        ("nvidia.com_dynamographdeployments",),
        lambda spec: [spec.name],
        server="dynamo",
    ),
}


def resolved(title: str) -> ResolvedDeployment:
    """A blue-green deployment, named for its case: others in the store are none of its business."""
    case = CASES[title]
    made = revision(case.runtime, 1, name=title.lower(), rollout={"strategy": "blue-green"}, **case.fields)
    images = made.engine.images
    engine = Engine(name="e", server=case.server, api_key=made.engine.api_key, images=images)
    return made.model_copy(update={"engine": engine})


@pytest.mark.parametrize("title", CASES)
def test_a_revision_is_rolled_out_validated_and_routed_under_the_engine_s_names(
    title: str,
    api: ApiClient,
    objects: Objects,
    own_api: KubernetesApi,
    crds: Callable[..., None],
    namespace: str,
    pod_store: ObjectStore,
    tmp_path: Path,
    kubeconfig: Path,
) -> None:
    case, spec, revisions = CASES[title], resolved(title), RevisionStore(pod_store)
    crds(*case.crds)
    operator = case.operator(api, namespace)
    ask = operator.dashboard if isinstance(operator, KubeRayDouble) else None
    plane = Kubernetes(own_api, cluster_settings(namespace), reach="cluster-ip", ask=ask)
    wanted = plane.render(spec)
    workload = wanted.rendered["workload"]

    def served() -> set[str]:
        found = objects.get(workload["api_version"], workload["kind"], workload["name"], namespace)
        return case.names(found) if found is not None else set()

    with KubeletDouble(api, namespace), operator, engines.EngineDouble(objects, served) as engine:
        address = wanted.rendered["address"]
        made = {each["metadata"]["name"] for each in wanted.rendered["objects"] if each["kind"] == "Service"}
        engine.serve_as(address, makes_service=address["service"] not in made)
        record = rollout.roll_out(plane, revisions, spec, lambda _: None)
        results = validation.validate(record, Validation(timeout_s=10))
        record = rollout.record_validation(plane, revisions, record, results, lambda _: None)
        assert record.state == "validated", record.cause
        own = case.asked(spec)
        assert set(engine.asked) == set(own)
        routed = routes(spec, record)
        assert [each for each, _ in routed] == list(spec.deployment.served_names)
        assert [name for _, name in routed] == own
        with openai.OpenAI(base_url=record.upstream, api_key="unused", max_retries=0) as client:
            for name in own:
                answer = client.completions.create(model=name, prompt="Who are you?")
                assert answer.choices[0].text == f"I am {name}"
        described = describe(spec.name, namespace, pod_store, tmp_path, kubeconfig)
    told = {line[2:13].strip(): line[13:] for line in described.splitlines()[1:]}
    assert told["base URL"] == record.upstream
    for name, engine_name in zip(spec.deployment.served_names, own, strict=True):
        assert (name if name == engine_name else f"{name} (there {engine_name})") in told["names"].split(", ")
    assert told["model"] == f"m hf://o/m at {'1' * 40}, text-generation"
    revisions.forget(spec.name)


def routes(spec: ResolvedDeployment, record: Revision) -> list[tuple[str, str]]:
    """Model names of tenants and of the engine, as the route table has them."""
    catalog = Catalog.model_validate(
        {
            "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}],
            "deployments": [spec.deployment],
            "engines": [spec.engine],
        }
    )
    target = Target(record.spec_digest, record.upstream, record.engine_names)
    return [(each.model, each.upstream_model) for each in routes_of(catalog, spec.deployment, target)]


def describe(name: str, namespace: str, store: ObjectStore, home: Path, kubeconfig: Path) -> str:
    """What the command prints, for a person with a kubeconfig and the store's keys."""
    settings: Object = {"namespace": namespace, "kubeai": {"namespace": namespace, "name": "kubeai"}}
    (home / "settings.yaml").write_text(yaml.safe_dump(settings))
    location = store.location
    variables = {
        "SLIPWAY_HOME": str(home),
        **stores.variables(location),
        "SLIPWAY_KUBECONFIG": str(kubeconfig),
        "SLIPWAY_KUBE_REACH": "cluster-ip",
        "SLIPWAY_KUBE_SETTINGS": str(home / "settings.yaml"),
    }
    ended = CliRunner().invoke(cli.cli, ["describe", name], env=variables)
    assert ended.exit_code == 0, ended.output
    return ended.output
