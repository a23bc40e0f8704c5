"""The plain runtime: who decides on replicas."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object, Rendered
from slipway.runtimes.vllm import render as vllm

from .variants import VARIANTS, container, env

Resolve = Callable[..., ResolvedDeployment]
Accept = Callable[[Rendered], dict[str, Object]]


def test_replicas_are_never_rendered_where_an_autoscaler_decides(
    render: Callable[..., dict[str, Object]],
) -> None:
    assert render(replicas=3)["Deployment"]["spec"]["replicas"] == 3
    for variant in ("HPA", "KEDA", "to zero"):
        assert "replicas" not in render(**VARIANTS[variant])["Deployment"]["spec"]
    assert "replicas" not in render(**VARIANTS["nodes, scaled"])["LeaderWorkerSet"]["spec"]


def test_without_spare_gpus_an_in_place_change_stops_a_replica_first(
    render: Callable[..., dict[str, Object]],
) -> None:
    def rolling(surge: int) -> Object:
        objects = render(rollout={"strategy": "in-place", "surge": surge})
        found: Object = objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]
        return found

    assert rolling(0) == {"maxSurge": 0, "maxUnavailable": 1}
    assert rolling(2) == {"maxSurge": 2, "maxUnavailable": 0}


def test_cpu_and_memory_scale_by_an_hpa_and_requests_by_keda(
    render: Callable[..., dict[str, Object]],
) -> None:
    hpa = render(**VARIANTS["HPA"])
    assert "ScaledObject" not in hpa
    assert [
        (m["resource"]["name"], m["resource"]["target"]["averageUtilization"])
        for m in hpa["HorizontalPodAutoscaler"]["spec"]["metrics"]
    ] == [("cpu", 70), ("memory", 80)]
    keda = render(**VARIANTS["KEDA"])
    assert "HorizontalPodAutoscaler" not in keda  # KEDA makes its own; two would fight
    triggers = keda["ScaledObject"]["spec"]["triggers"]
    assert [t["type"] for t in triggers] == ["cpu", "prometheus", "prometheus"]
    assert [t["metadata"].get("threshold") for t in triggers] == [None, "2.5", "4"]


def test_without_prometheus_keda_asks_the_engines_but_nothing_would_wake_a_deployment(
    resolved: Resolve, cluster: ClusterSettings, accepted: Accept
) -> None:
    alone = replace(cluster, prometheus_url=None)
    scaling = {"max_replicas": 2, "target": {"ongoing_requests": 2}}
    for server, path, location in (("vllm", "/load", "server_load"), ("llama.cpp", "/-/load", "ongoing")):
        objects = accepted(vllm.render(resolved(server=server, autoscaling=scaling), alone))
        (trigger,) = objects["ScaledObject"]["spec"]["triggers"]
        assert trigger["type"] == "metrics-api"
        assert trigger["metadata"]["url"].endswith(f".slipway.svc:8000{path}")
        assert trigger["metadata"]["valueLocation"] == location
    with pytest.raises(RenderError, match=r"autoscaling\.idle = zero"):
        vllm.render(resolved(**VARIANTS["to zero"]), alone)


def test_bounds_delays_and_idle_reach_the_scaler(render: Callable[..., dict[str, Object]]) -> None:
    delays = {"upscale_delay_s": 7, "downscale_delay_s": 70, "idle_after_s": 77}
    zero = {"min_replicas": 0, "max_replicas": 4, "idle": "zero", **delays}
    spec = render(autoscaling=zero)["ScaledObject"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["cooldownPeriod"]) == (0, 4, 77)
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 7
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 70


def test_an_engine_that_sleeps_has_its_admin_endpoints_and_one_that_does_not_has_none(
    render: Callable[..., dict[str, Object]],
) -> None:
    asleep, awake = render(**VARIANTS["sleep"]), render()
    assert "--enable-sleep-mode" in container(asleep)["args"]
    assert env(asleep)["VLLM_SERVER_DEV_MODE"] == "1"
    assert "VLLM_SERVER_DEV_MODE" not in env(awake)
