"""Dynamo: graphs and models."""

from collections.abc import Callable

import pytest

from slipway.catalog import Deployment, ResolvedDeployment
from slipway.runtimes.dynamo import refusals
from slipway.runtimes.dynamo import render as dynamo
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object

from .variants import DYNAMO, VARIANTS

Resolve = Callable[..., ResolvedDeployment]


class TestDynamo:
    def test_an_image_by_digest_says_its_version(self, render: Callable[..., dict[str, Object]]) -> None:
        components = render(**DYNAMO)["DynamoGraphDeployment"]["spec"]["components"]
        assert {each["runtimeVersionOverride"] for each in components} == {"1.3.1"}

    def test_without_a_version_it_is_asked_for(self, resolved: Resolve, cluster: ClusterSettings) -> None:
        unversioned = {"images": {"nvidia": {"image": "nvcr.io/d", "tag": "nightly"}}}
        with pytest.raises(RenderError, match="must know its own version"):
            dynamo.render(resolved(**{**DYNAMO, "engine": unversioned}), cluster)

    def test_the_scaler_turns_the_workers_adapter_whose_name_is_lower_case(
        self, render: Callable[..., dict[str, Object]], resolved: Resolve
    ) -> None:
        objects = render(**VARIANTS["dynamo scaled"])
        target = objects["ScaledObject"]["spec"]["scaleTargetRef"]
        revision = resolved(**VARIANTS["dynamo scaled"]).revision_name
        assert target == {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentScalingAdapter",
            "name": f"{revision}-worker",
        }
        worker = objects["DynamoGraphDeployment"]["spec"]["components"][1]
        assert "scalingAdapter" in worker and "replicas" not in worker

    def test_at_least_one_worker_stays(self) -> None:
        zero = {"autoscaling": {"min_replicas": 0, "idle": "zero"}}
        deployment = Deployment.model_validate(
            {"name": "c", "model": "m", "runtime": "dynamo", "engine": "e", **zero}
        )
        assert "autoscaling.idle" in dict(refusals.refusals(deployment))

    def test_adapters_are_objects_of_their_own(self, render: Callable[..., dict[str, Object]]) -> None:
        spec = render(**VARIANTS["dynamo scaled"])["DynamoModel"]["spec"]
        assert spec["source"] == {"uri": f"s3://models/weights/tone/{'1' * 40}"}
        assert (spec["baseModelName"], spec["modelName"]) == ("chat", "tone")
