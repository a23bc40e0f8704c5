"""A rich deployment of each runtime goes through Slipway's own client, under Slipway's own rights, and back.

Belongs here: applying, reading back and removing what is rendered. Does not: operators (../doubles).
"""

from collections.abc import Callable

import pytest
from kubernetes.client import ApiClient

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.kubernetes.objects import recorded as records
from slipway.dataplane.kubernetes.objects.prune import kinds
from slipway.records.revisions import Applied
from slipway.runtimes.cluster import rbac
from slipway.runtimes.rendering import identity
from testbed.cluster.objects import Object, Objects

from .kept import lost
from .rich import AROUND, RICH, cluster_settings, resolved


@pytest.mark.parametrize("name", RICH)
def test_a_rich_deployment_is_stored_as_it_was_sent_differs_in_nothing_and_goes_without_a_trace(
    name: str, objects: Objects, crds: Callable[..., None], namespace: str, as_role: Callable[..., ApiClient]
) -> None:
    rich = RICH[name]
    crds(*AROUND, *rich.crds)
    rules = rbac.role(namespace, "slipway-s3")["rules"]
    api = KubernetesApi(as_role(rules, rbac.cluster_role()["rules"]), patience_s=10)
    plane = Kubernetes(api, cluster_settings(namespace))
    wanted = plane.render(resolved(rich))

    assert plane.diff(wanted).action == "create"
    plane.apply(wanted)
    plane.publish(wanted)
    sent = [*records.objects(wanted), *records.public(wanted)]
    assert [each for one in sent for each in not_kept(objects, one)] == []
    assert plane.diff(wanted).detail == ()

    plane.delete(gone_with(wanted), lambda _: None)
    assert left(objects, namespace) == []


def gone_with(wanted: Applied) -> frozenset[str]:
    """The revision, and the deployment's name, which its stable objects have as their instance."""
    return frozenset({wanted.application, wanted.deployment})


def not_kept(objects: Objects, sent: Object) -> list[str]:
    """Fields of an object that are not stored as they were sent."""
    named = sent["metadata"]
    stored = objects.get(sent["apiVersion"], sent["kind"], named["name"], named["namespace"])
    if stored is None:
        return [f"{sent['kind']} {named['name']} is not there"]
    return [f"{sent['kind']} {named['name']}{path}" for path in lost(sent, stored)]


def left(objects: Objects, namespace: str) -> list[str]:
    """Slipway's objects that are still in the namespace, of any kind that is served."""
    found = []
    for api_version, kind in kinds():
        try:
            listed = objects.list(api_version, kind, namespace, f"{identity.MANAGED_BY}={identity.SLIPWAY}")
        except LookupError:
            continue
        found += [f"{kind} {each['metadata']['name']}" for each in listed]
    return found
