"""What the API server refuses is one message with cause and remedy, and nothing is half done.

Bad input that shows only while a revision becomes ready is in ../disruptions.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from slipway.dataplane.errors import ConfigRefusedError, DataPlaneError
from slipway.dataplane.kubernetes.api import errors
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from testbed.cluster.objects import Object, Objects, eventually

from .conftest import cluster_settings, fake

APPS = "apps/v1"


class TestRefusals:
    """Each is one message with cause and remedy, and nothing is half done."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self, objects: Objects, namespace: str) -> Iterator[None]:
        """Whatever was refused, no workload was made."""
        yield
        assert objects.list(APPS, "Deployment", namespace) == []

    def test_a_namespace_that_is_missing(self, cluster_api: KubernetesApi) -> None:
        plane = Kubernetes(cluster_api, cluster_settings("nowhere"))
        with pytest.raises(ConfigRefusedError, match=r"namespace nowhere does not exist.*Create it"):
            plane.apply(plane.render(fake()))

    def test_a_definition_that_is_missing(self, plane: Kubernetes) -> None:
        wanted = plane.render(fake())
        objects = [{**each, "apiVersion": "not.installed/v1"} for each in wanted.rendered["objects"]]
        with pytest.raises(errors.MissingKindError, match=r"CRD is missing|speaks not\.installed/v1"):
            plane.apply(replace(wanted, rendered={**wanted.rendered, "objects": objects}))

    def test_a_quota_that_is_full(self, plane: Kubernetes, objects: Objects, namespace: str) -> None:
        quota = {"spec": {"hard": {"count/deployments.apps": "0"}}}
        objects.apply(
            [{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, **quota}], namespace
        )
        with pytest.raises(ConfigRefusedError, match=r"is full: q, requested.*raise isolation\.quota"):
            plane.apply(plane.render(fake()))

    def test_a_policy_that_denies(self, plane: Kubernetes, objects: Objects, namespace: str) -> None:
        for each in denying(namespace):
            objects.apply([each])
        try:
            eventually(lambda: is_denied(objects, namespace), "the policy is enforced")
            with pytest.raises(ConfigRefusedError, match="no services here"):
                plane.apply(plane.render(fake()))
        finally:
            for each in denying(namespace):
                objects.delete(each["apiVersion"], each["kind"], each["metadata"]["name"])

    def test_a_verb_that_is_missing(
        self, as_role: Callable[..., ApiClient], make_plane: Callable[..., Kubernetes]
    ) -> None:
        everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
        plane = make_plane(KubernetesApi(as_role([everything]), patience_s=5))
        with pytest.raises(errors.ForbiddenError, match=r'may not patch networkpolicies.*verbs: \["patch"\]'):
            plane.apply(plane.render(fake()))

    def test_a_name_that_is_too_long(self, plane: Kubernetes) -> None:
        with pytest.raises(DataPlaneError, match=r"must be no more than 63|63 bytes|too long"):
            plane.apply(plane.render(fake(name="c" * 60)))


def is_denied(objects: Objects, namespace: str) -> bool:
    """Whether a Service is refused here, by a dry run."""
    service = {"metadata": {"name": "probe"}, "spec": {"ports": [{"port": 80}]}}
    try:
        objects.call("POST", objects.path("v1", "Service", namespace), service, dryRun="All")
    except ApiException as error:
        return "no services here" in str(error.body)
    return False


def denying(namespace: str) -> list[Object]:
    """An admission policy that refuses Services in one namespace."""
    version, name = "admissionregistration.k8s.io/v1", f"deny-{namespace}"
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    services = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["services"]}]
    policy = {
        "matchConstraints": {"resourceRules": services},
        "validations": [{"expression": "false", "message": "no services here"}],
    }
    binding = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": here},
    }
    return [
        {
            "apiVersion": version,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": policy,
        },
        {
            "apiVersion": version,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": binding,
        },
    ]
