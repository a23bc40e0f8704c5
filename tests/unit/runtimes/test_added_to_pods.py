"""What a deployment adds to its pods is there on every runtime that does not refuse it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slipway.catalog import Catalog, Deployment, ResolvedDeployment
from slipway.catalog.problems import dotted
from slipway.catalog.rules import pods as rules
from slipway.runtimes import registry
from slipway.runtimes.table import CLUSTER_SETTINGS

from .operators.variants import DYNAMO, NIM, VARIANTS

AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {
                    "matchExpressions": [
                        {"key": "rack", "operator": "In", "values": ["a", "b"]},
                        {"key": "fast", "operator": "Exists"},
                    ]
                }
            ]
        }
    }
}
PLAIN: dict[str, Any] = {**VARIANTS["kserve added"], "runtime": "vllm"}
WITH_POD_TEMPLATES = {
    "vllm": PLAIN,
    "kserve": VARIANTS["kserve added"],
    "kserve over nodes": VARIANTS["kserve nodes added"],
    "kuberay": VARIANTS["kuberay added"],
    "dynamo": VARIANTS["dynamo added"],
}


def given(spec: ResolvedDeployment) -> Any:
    return registry.adapter(spec.deployment.runtime).given(spec, CLUSTER_SETTINGS)


def found(value: Any, name: str) -> Iterator[Any]:
    """Every value under that name, wherever it stands."""
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for inner in value.values():
            yield from found(inner, name)
    if isinstance(value, list | tuple):
        for inner in value:
            yield from found(inner, name)


@pytest.mark.parametrize("runtime", WITH_POD_TEMPLATES)
def test_a_pod_template_has_all_of_it(resolved: Callable[..., ResolvedDeployment], runtime: str) -> None:
    objects = given(resolved(**WITH_POD_TEMPLATES[runtime]))
    assert AFFINITY in found(objects, "affinity")
    ((spread, *_), *_) = found(objects, "topologySpreadConstraints")
    assert (spread["topologyKey"], spread["maxSkew"]) == ("topology.kubernetes.io/zone", 2)
    assert spread["whenUnsatisfiable"] == "DoNotSchedule" and spread["labelSelector"]["matchLabels"]
    assert "high" in found(objects, "priorityClassName")
    assert [{"name": "device-0", "resourceClaimTemplateName": "nic"}] in found(objects, "resourceClaims")
    assert [{"name": "device-0"}] in found(objects, "claims")
    mounted = {
        mount["mountPath"]: mount.get("readOnly", False)
        for mounts in found(objects, "volumeMounts")
        for mount in mounts
    }
    wanted = {"/data": True, "/templates": True, "/keys": True, "/scratch": False, "/etc/slipway/ca": True}
    assert wanted.items() <= mounted.items()
    volumes = [volume for each in found(objects, "volumes") for volume in each]
    assert {"name": "extra-1", "configMap": {"name": "templates"}} in volumes
    assert {"name": "extra-2", "secret": {"secretName": "keys"}} in volumes
    assert {"name": "extra-3", "persistentVolumeClaim": {"claimName": "scratch"}} in volumes
    assert "/etc/slipway/ca/ca.crt" in str(objects)
    amounts = [each for name in ("requests", "limits") for each in found(objects, name)]
    assert sum(each.get("rdma/hca") == "1" for each in amounts) >= 2


@pytest.mark.parametrize("runtime", ["vllm", "kserve", "kuberay", "dynamo", "nim"])
def test_shared_memory_is_as_large_as_written(
    resolved: Callable[..., ResolvedDeployment], runtime: str
) -> None:
    fields = {"nim": NIM, "dynamo": DYNAMO}.get(runtime, {"runtime": runtime})
    objects = given(resolved(**{**fields, "resources": {"gpu": {}, "shared_memory": "33Gi"}}))
    names = ("sizeLimit", "sharedMemorySize", "sharedMemorySizeLimit")
    assert "33Gi" in [each for name in names for each in found(objects, name)]


@pytest.mark.parametrize("runtime", ["vllm", "kserve", "nim"])
def test_probes_ask_as_written_and_keep_the_rest(
    resolved: Callable[..., ResolvedDeployment], runtime: str
) -> None:
    fields = NIM if runtime == "nim" else {"runtime": runtime}
    objects = given(resolved(**fields, probes={"readiness": {"path": "/up", "period_s": 2, "failures": 9}}))
    (probe,) = found(objects, "readinessProbe")
    probe = probe.get("probe", probe)
    assert (probe["httpGet"]["path"], probe["periodSeconds"], probe["failureThreshold"]) == ("/up", 2, 9)
    assert "port" in probe["httpGet"]


def test_files_are_a_models_of_kubeai(resolved: Callable[..., ResolvedDeployment]) -> None:
    (files,) = found(given(resolved(**VARIANTS["kubeai added"])), "files")
    assert files == [{"path": "/templates/chat.jinja", "content": "{{ messages }}"}]


@pytest.mark.parametrize("server", ["llama.cpp", "vllm"])
def test_ray_serve_gives_a_replica_no_more_requests_than_written(
    resolved: Callable[..., ResolvedDeployment], server: str
) -> None:
    text = str(given(resolved(runtime="kuberay", server=server, max_ongoing_requests=7)))
    assert "max_ongoing_requests: 7" in text
    assert "max_ongoing_requests: 100" in str(given(resolved(runtime="kuberay", server=server)))


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (
        {"placement": {"node_affinity": [{"key": "a b", "values": ["x"]}]}},
        "placement.node_affinity[0].key",
        "label",
    ),
    (
        {"placement": {"node_affinity": [{"key": "a", "values": ["x y"]}]}},
        "placement.node_affinity[0].values",
        "label",
    ),
    ({"placement": {"spread": [{"over": "a b"}]}}, "placement.spread[0].over", "label"),
    ({"resources": {"extended": {"hca": 1}}}, "resources.extended.hca", "Write its domain and name"),
    (
        {"resources": {"extended": {"nvidia.com/gpu": 1}}},
        "resources.extended.nvidia.com/gpu",
        "resources.gpu",
    ),
    ({"volumes": [{"mount_path": "/cache", "claim": "c"}]}, "volumes[0].mount_path", "Choose another path"),
    ({"volumes": [{"mount_path": "/tmp/x", "claim": "c"}]}, "volumes[0].mount_path", "Choose another path"),
    (
        {"volumes": [{"mount_path": "/x", "claim": "c"}, {"mount_path": "/x", "secret": "s"}]},
        "volumes[1].mount_path",
        "is mounted 2 times",
    ),
]


@pytest.mark.parametrize(("fields", "field", "message"), REFUSED, ids=[field for _, field, _ in REFUSED])
def test_what_an_api_server_would_refuse_of_it_is_told(
    fields: dict[str, Any], field: str, message: str
) -> None:
    written = {"name": "c", "model": "m", "engine": "e", "runtime": "vllm", **fields}
    catalog = Catalog(deployments=(Deployment.model_validate(written),))
    said = {dotted(each.path): each.message for rule in rules.RULES for each in rule(catalog)}
    assert message in said[field]


@pytest.mark.parametrize(
    "fields",
    [
        {"volumes": [{"mount_path": "/x"}]},
        {"volumes": [{"mount_path": "/x", "claim": "a", "secret": "b"}]},
        {"volumes": [{"mount_path": "x", "claim": "a"}]},
        {"placement": {"node_affinity": [{"key": "a"}]}},
        {"placement": {"node_affinity": [{"key": "a", "operator": "Exists", "values": ["b"]}]}},
        {"resources": {"extended": {"rdma/hca": 0}}},
        {"files": [{"path": "relative", "content": ""}]},
        {"max_ongoing_requests": 0},
    ],
    ids=str,
)
def test_what_says_nothing_or_two_things_is_no_deployment(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Deployment.model_validate({"name": "c", "model": "m", "engine": "e", "runtime": "vllm", **fields})
