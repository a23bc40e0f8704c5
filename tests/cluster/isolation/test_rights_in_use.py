"""Slipway's own Role is enough for a deployment's whole life, and what it lacks is named.

Belongs here: rights while planning, applying, waiting, waking and removing. Does not: other runtimes' kinds
(../runtimes/test_stored.py goes through all of them), Ray's dashboard (../traps).
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client import ApiClient

from slipway.dataplane.kubernetes.api import errors
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.runtimes.cluster import rbac
from testbed.cluster.objects import Object

from ..dataplane.conftest import cluster_settings, fake

NOWHERE = {"node_selector": {"no": "node"}}


def lived(plane: Kubernetes, **fields: Any) -> None:
    """A deployment's life: planned, applied, waited for, read, published, woken, parked, removed."""
    wanted = plane.render(fake(**fields))
    plane.diff(wanted)
    plane.apply(wanted)
    plane.wait(wanted, 60, lambda _: None)
    plane.publish(wanted)
    assert [each.is_serving for each in plane.status("chat")] == [True]
    plane.wake(wanted)
    assert plane.park(frozenset({wanted.application}), lambda _: None) == frozenset()
    plane.delete(frozenset({wanted.application}), lambda _: None)


def without(rules: list[Object], verb: str, resource: str) -> list[Object]:
    """The rules with one verb on one resource less."""
    found = []
    for each in copy.deepcopy(rules):
        if resource in each["resources"]:
            each["resources"].remove(resource)
            rest = [name for name in each["verbs"] if name != verb]
            found.append({"apiGroups": each["apiGroups"], "resources": [resource], "verbs": rest})
        if each["resources"]:
            found.append(each)
    return found


@pytest.fixture
def plane_with(as_role: Callable[..., ApiClient], namespace: str) -> Callable[[list[Object]], Kubernetes]:
    """A data plane whose client may do just this in the namespace."""

    def make(rules: list[Object]) -> Kubernetes:
        client = as_role(rules, rbac.cluster_role()["rules"])
        return Kubernetes(KubernetesApi(client, patience_s=10), cluster_settings(namespace))

    return make


def test_the_role_is_enough(
    plane_with: Callable[[list[Object]], Kubernetes],
    namespace: str,
    fake_nodes: list[str],
) -> None:
    lived(plane_with(rbac.role(namespace, "slipway-s3")["rules"]))


MISSING = (
    ("list", "services"),
    ("patch", "networkpolicies"),
    ("create", "deployments"),
    ("watch", "pods"),
    ("patch", "deployments/scale"),
    ("delete", "deployments"),
)


@pytest.mark.parametrize(("verb", "resource"), MISSING)
def test_one_verb_less_is_named_with_its_resource_and_the_rule_to_add(
    verb: str,
    resource: str,
    plane_with: Callable[[list[Object]], Kubernetes],
    namespace: str,
    fake_nodes: list[str],
) -> None:
    rules = without(rbac.role(namespace, "slipway-s3")["rules"], verb, resource)
    # What serves at the first look is watched no longer: there is something to wait for.
    fields = NOWHERE if verb == "watch" else {}
    with pytest.raises(errors.ForbiddenError, match=rf'may not {verb} {resource}.*verbs: \["{verb}"\]'):
        lived(plane_with(rules), **fields)
