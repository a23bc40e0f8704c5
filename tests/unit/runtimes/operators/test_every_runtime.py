"""What holds for every runtime that an operator drives: KubeAI, KServe, KubeRay, NIM, Dynamo."""

from collections.abc import Callable
from typing import Any

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.runtimes import registry
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object

from .variants import VARIANTS

Resolve = Callable[..., ResolvedDeployment]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_every_object_and_prunes_nothing(
    render: Callable[..., dict[str, Object]], variant: str
) -> None:
    assert render(**VARIANTS[variant])


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_rendered_here_is_refused_nowhere(resolved: Resolve, variant: str) -> None:
    spec = resolved(**VARIANTS[variant])
    assert registry.adapter(spec.deployment.runtime).refusals(spec.deployment, spec.engine) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_images_are_named_by_digest_alone(render: Callable[..., dict[str, Object]], variant: str) -> None:
    def images(value: Any, key: str = "") -> list[str]:
        if isinstance(value, dict) and key == "image" and "repository" in value:
            return [f"{value['repository']}:{value['tag']}"]
        if isinstance(value, dict):
            return [image for name, inner in value.items() for image in images(inner, name)]
        if isinstance(value, list):
            return [image for inner in value for image in images(inner)]
        return [value] if key in ("image", "modelPuller") else []

    found = images(render(**VARIANTS[variant]))
    assert found and all("@sha256:" in image for image in found)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_digest_travels_in_the_environment_of_every_engine(
    resolved: Resolve, cluster: ClusterSettings, variant: str
) -> None:
    spec = resolved(**VARIANTS[variant])
    rendered = registry.on_cluster(spec.deployment.runtime).render(spec, cluster)
    (workload,) = [each for each in rendered.objects if each["kind"] == rendered.workload.kind]
    assert identity.SPEC_DIGEST_ENV in str(workload) and spec.spec_digest in str(workload)


@pytest.mark.parametrize(
    "variant", [name for name in VARIANTS if name.startswith(("kserve", "dynamo", "nim"))]
)
def test_the_digest_reaches_the_annotations_of_pods(
    render: Callable[..., dict[str, Object]], resolved: Resolve, variant: str
) -> None:
    digest = resolved(**VARIANTS[variant]).spec_digest
    objects = render(**VARIANTS[variant])
    places = {
        "InferenceService": lambda spec: [spec["predictor"]["annotations"]],
        "LLMInferenceService": lambda spec: [spec["annotations"]],
        "NIMService": lambda spec: [spec["annotations"]],
        "DynamoGraphDeployment": lambda spec: [
            each["podTemplate"]["metadata"]["annotations"] for each in spec["components"]
        ],
    }
    (kind,) = places.keys() & objects.keys()
    assert all(each == {identity.SPEC_DIGEST: digest} for each in places[kind](objects[kind]["spec"]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_slipways_role_may_write_every_kind_that_is_rendered(
    resolved: Resolve, cluster: ClusterSettings, variant: str
) -> None:
    from slipway.runtimes.cluster import rbac

    spec = resolved(**VARIANTS[variant])
    rendered = registry.on_cluster(spec.deployment.runtime).render(spec, cluster)
    allowed = {
        (group, resource)
        for rule in rbac.role("slipway", "slipway-s3")["rules"]
        if {"create", "patch", "delete"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for each in (*rendered.objects, *rendered.public):
        group = each["apiVersion"].rpartition("/")[0]
        kind = each["kind"].lower()
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
        assert (group, plural.replace("cachess", "caches")) in allowed
