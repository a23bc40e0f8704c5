"""The plain runtime: what pods may do, and who reaches them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object, Rendered
from slipway.runtimes.vllm import render as vllm

from .variants import VARIANTS, container

Resolve = Callable[..., ResolvedDeployment]
Accept = Callable[[Rendered], dict[str, Object]]


def test_secrets_are_only_referred_to(render: Callable[..., dict[str, Object]]) -> None:
    secrets = {
        e["name"]: e["valueFrom"]["secretKeyRef"]
        for e in container(render(**VARIANTS["secrets"]))["env"]
        if "valueFrom" in e
    }
    assert secrets == {
        "AWS_ACCESS_KEY_ID": {"name": "slipway-s3", "key": "AWS_ACCESS_KEY_ID"},
        "AWS_SECRET_ACCESS_KEY": {"name": "slipway-s3", "key": "AWS_SECRET_ACCESS_KEY"},
        "HF_TOKEN": {"name": "hub", "key": "HF_TOKEN"},
        "A": {"name": "s", "key": "k"},
    }


def test_pods_are_restricted(render: Callable[..., dict[str, Object]]) -> None:
    """Every field that the Pod Security Standard `restricted` asks for, and a read-only root besides."""
    pod = render(**VARIANTS["adapters"])["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in (*pod["initContainers"], *pod["containers"]):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {m["mountPath"] for m in each["volumeMounts"]} >= {"/cache", "/tmp"}


def test_only_the_gateway_and_those_who_measure_reach_an_engine(
    render: Callable[..., dict[str, Object]],
) -> None:
    spec = render()["NetworkPolicy"]["spec"]
    (others, themselves) = spec["ingress"]
    namespaces = [
        each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in others["from"]
    ]
    assert namespaces == ["slipway-system", "monitoring", "keda"]
    assert all(each["podSelector"]["matchLabels"] for each in others["from"])
    assert others["ports"] == [{"protocol": "TCP", "port": 8000}]
    assert themselves == {"from": [{"podSelector": spec["podSelector"]}]}
    dns, store, _ = spec["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert store["to"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "storage"}


@pytest.mark.parametrize(
    ("endpoint", "flow"),
    [
        (
            "http://10.1.2.3:8333",
            {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 8333}]},
        ),
        ("https://s3.example.com", {"ports": [{"protocol": "TCP", "port": 443}]}),
    ],
)
def test_a_store_outside_the_cluster_is_allowed_by_address_or_by_port(
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept, endpoint: str, flow: Object
) -> None:
    outside = replace(cluster, store=replace(cluster.store, endpoint_url=endpoint))
    assert accepted(vllm.render(resolved(), outside))["NetworkPolicy"]["spec"]["egress"][1] == flow


def test_a_runtime_class_that_the_cluster_lacks_is_said_before_a_pod_hangs(
    resolved: Resolve, cluster: ClusterSettings
) -> None:
    with pytest.raises(RenderError, match=r"runtime_class = kata: the cluster has gvisor"):
        vllm.render(resolved(isolation={"runtime_class": "kata"}), cluster)


def test_metrics_are_collected_only_when_asked_for_and_somebody_can(
    resolved: Resolve, cluster: ClusterSettings
) -> None:
    def kinds(around: ClusterSettings, **fields: Any) -> set[str]:
        return {each["kind"] for each in vllm.render(resolved(**fields), around).objects}

    assert "PodMonitor" in kinds(cluster)
    assert "PodMonitor" not in kinds(cluster, telemetry=False)
    assert "PodMonitor" not in kinds(replace(cluster, prometheus=None))
