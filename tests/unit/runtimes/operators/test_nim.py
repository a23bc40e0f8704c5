"""NIM: caches and services."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.runtimes.nim import render as nim
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object

from .variants import NIM, VARIANTS

Resolve = Callable[..., ResolvedDeployment]


class TestNim:
    def test_replicas_are_absent_where_scale_is_on(self, render: Callable[..., dict[str, Object]]) -> None:
        scaled, fixed = render(**VARIANTS["nim scaled"])["NIMService"], render(**NIM)["NIMService"]
        assert "replicas" not in scaled["spec"] and scaled["spec"]["scale"]["enabled"]
        assert fixed["spec"]["replicas"] == 1 and "scale" not in fixed["spec"]

    def test_a_missing_key_is_an_error_here_not_a_crash_loop_there(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        with pytest.raises(RenderError, match="licence key"):
            nim.render(resolved(**{**NIM, "engine": {}}), cluster)
        with pytest.raises(RenderError, match="pull secret"):
            nim.render(resolved(**NIM), replace(cluster, pull_secrets=()))

    def test_a_volume_takes_a_cache_and_without_one_no_cache_is_made(
        self, render: Callable[..., dict[str, Object]]
    ) -> None:
        cached = render(**VARIANTS["nim volume"])
        assert (
            cached["NIMService"]["spec"]["storage"]["nimCache"]["name"]
            == cached["NIMCache"]["metadata"]["name"]
        )
        assert cached["NIMCache"]["spec"]["storage"]["pvc"]["size"] == "50Gi"
        plain = render(**NIM)
        assert "NIMCache" not in plain and plain["NIMService"]["spec"]["storage"]["emptyDir"] == {}

    def test_metrics_are_off_where_nobody_collects_them(
        self, resolved: Resolve, cluster: ClusterSettings
    ) -> None:
        """On, without the ServiceMonitor kind, they make the service Failed."""
        quiet = nim.render(resolved(**NIM), replace(cluster, prometheus=None))
        assert quiet.objects[-1]["spec"]["metrics"]["enabled"] is False


def test_claims_of_devices_go_into_a_new_service_alone(resolved: Resolve) -> None:
    claims = {"resources": {"gpu": {}, "device_claims": ["nic"]}}
    assert nim.refusals(resolved(**{**NIM, **claims}).deployment) == []
    in_place = resolved(**{**NIM, **claims, "rollout": {"strategy": "in-place"}})
    assert [field for field, _ in nim.refusals(in_place.deployment)] == ["resources.device_claims"]
