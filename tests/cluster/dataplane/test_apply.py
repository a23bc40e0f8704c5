"""Promises of plan and apply: what is shown is what happens, and nobody's work is lost."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.dataplane.errors import ConfigRefusedError
from slipway.dataplane.kubernetes.api import errors
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.records.revisions import Applied
from slipway.runtimes.rendering import identity
from testbed.cluster.objects import Objects

from .conftest import Log, fake

APPS = "apps/v1"


def edit(objects: Objects, wanted: Applied, namespace: str, body: Any, manager: str) -> None:
    """What `kubectl edit` sends: an update under its own manager's name."""
    path = objects.path(APPS, "Deployment", namespace, wanted.application)
    api = objects.api
    api.call_api(
        path,
        "PATCH",
        query_params=[("fieldManager", manager)],
        header_params={"Content-Type": "application/merge-patch+json", "Accept": "application/json"},
        body=body,
        auth_settings=["BearerToken"],
        _return_http_data_only=True,
        _preload_content=False,
    )


def versions(objects: Objects, namespace: str) -> dict[str, str]:
    """Generations of what Slipway made, by uid: a write that changes nothing leaves them."""
    kinds = [(APPS, "Deployment"), ("v1", "Service"), ("networking.k8s.io/v1", "NetworkPolicy")]
    found = [each for kind in kinds for each in objects.list(*kind, namespace, "slipway.dev/deployment")]
    return {each["metadata"]["uid"]: str(each["metadata"].get("generation")) for each in found}


def test_a_plan_names_every_object_and_changes_nothing(
    plane: Kubernetes, objects: Objects, namespace: str
) -> None:
    wanted = plane.render(fake())
    found = plane.diff(wanted)
    assert found.action == "create"
    assert any(line.startswith(f"create Deployment {wanted.application}") for line in found.detail)
    assert objects.list(APPS, "Deployment", namespace) == []


def test_what_was_applied_differs_in_nothing_and_applying_again_writes_nothing(
    plane: Kubernetes, rolled_out: Applied, objects: Objects, namespace: str
) -> None:
    assert plane.diff(rolled_out).action == "none"
    before = versions(objects, namespace)
    plane.apply(rolled_out)
    assert versions(objects, namespace) == before


def test_edits_by_hand_are_shown_by_field_and_put_right_by_the_next_run(
    plane: Kubernetes, rolled_out: Applied, objects: Objects, namespace: str
) -> None:
    template = {"spec": {"containers": None}}
    live = objects.get(APPS, "Deployment", rolled_out.application, namespace)
    assert live is not None
    containers = json.loads(json.dumps(live["spec"]["template"]["spec"]["containers"]))
    containers[0]["image"] = "evil.example/engine:latest"
    template["spec"]["containers"] = containers
    edit(objects, rolled_out, namespace, {"spec": {"replicas": 7, "template": template}}, "kubectl-edit")
    edit(objects, rolled_out, namespace, {"metadata": {"labels": {identity.NAME: "mine"}}}, "kubectl-label")

    shown = "\n".join(plane.diff(rolled_out).detail)
    assert "spec.replicas: 7 -> 2 (changed by kubectl-edit)" in shown
    assert "image: evil.example/engine:latest ->" in shown
    assert f"metadata.labels.{identity.NAME}: mine -> vllm (changed by kubectl-label)" in shown

    plane.apply(rolled_out)
    assert plane.diff(rolled_out).action == "none"


def test_a_field_that_another_system_owns_is_refused_with_its_name_and_taken_by_force(
    plane: Kubernetes,
    make_plane: Callable[..., Kubernetes],
    rolled_out: Applied,
    objects: Objects,
    namespace: str,
) -> None:
    edit(objects, rolled_out, namespace, {"spec": {"replicas": 5}}, "argocd-controller")
    with pytest.raises(
        errors.FieldConflictError, match=r"spec\.replicas is owned by argocd-controller.*FORCE"
    ):
        plane.apply(rolled_out)
    make_plane(force=True).apply(rolled_out)
    assert plane.diff(rolled_out).action == "none"


def test_replicas_that_an_autoscaler_keeps_are_left_to_it(
    plane: Kubernetes, fake_nodes: list[str], objects: Objects, namespace: str, log: Log
) -> None:
    scaling = {"min_replicas": 1, "max_replicas": 4, "target": {"cpu_percent": 50}}
    wanted = plane.render(fake(autoscaling=scaling, resources={"requests": {"cpu": "100m"}}))
    plane.apply(wanted)
    plane.wait(wanted, 60, log)
    path = objects.path(APPS, "Deployment", namespace, wanted.application)
    scale = objects.call("GET", f"{path}/scale")
    scale["spec"]["replicas"] = 3
    objects.call("PUT", f"{path}/scale", scale)
    assert plane.diff(wanted).action == "none"
    plane.apply(wanted)
    live = objects.get(APPS, "Deployment", wanted.application, namespace)
    assert live is not None
    assert live["spec"]["replicas"] == 3


def test_an_immutable_field_is_replaced_as_planned(
    plane: Kubernetes, rolled_out: Applied, objects: Objects, namespace: str
) -> None:
    changed = json.loads(json.dumps(rolled_out.rendered))
    deployment = next(each for each in changed["objects"] if each["kind"] == "Deployment")
    deployment["spec"]["selector"]["matchLabels"]["more"] = "x"
    deployment["spec"]["template"]["metadata"]["labels"]["more"] = "x"
    wanted = replace(rolled_out, rendered=changed)
    before = objects.get(APPS, "Deployment", rolled_out.application, namespace)
    assert f"replace Deployment {wanted.application}" in "\n".join(plane.diff(wanted).detail)
    plane.apply(wanted)
    after = objects.get(APPS, "Deployment", rolled_out.application, namespace)
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] != after["metadata"]["uid"]


def test_what_an_application_does_not_have_any_more_is_pruned_and_nothing_else(
    plane: Kubernetes, rolled_out: Applied, objects: Objects, namespace: str
) -> None:
    mine = {**identity_labels(rolled_out)}
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "by-hand", "labels": mine},
        "spec": {"ports": [{"port": 80}]},
    }
    objects.apply([foreign], namespace)
    fewer = [each for each in rolled_out.rendered["objects"] if each["kind"] != "PodDisruptionBudget"]
    wanted = replace(rolled_out, rendered={**rolled_out.rendered, "objects": fewer})
    assert plane.diff(wanted).detail == (
        f"delete PodDisruptionBudget {wanted.application} in namespace {namespace}",
    )
    plane.apply(wanted)
    assert objects.list("policy/v1", "PodDisruptionBudget", namespace) == []
    assert objects.get("v1", "Service", "by-hand", namespace) is not None


def identity_labels(wanted: Applied) -> dict[str, str]:
    """The ownership labels, which anybody may copy."""
    return {
        identity.MANAGED_BY: identity.SLIPWAY,
        identity.INSTANCE: wanted.application,
        identity.DEPLOYMENT: wanted.deployment,
    }


def test_an_object_of_somebody_else_is_never_adopted(
    plane: Kubernetes, objects: Objects, namespace: str
) -> None:
    wanted = plane.render(fake())
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": wanted.application},
        "spec": {"ports": [{"port": 80}]},
    }
    objects.apply([theirs], namespace)
    with pytest.raises(
        ConfigRefusedError, match=r"Service chat-\w+ in namespace .* exists and is not Slipway's"
    ):
        plane.apply(wanted)
    assert objects.list(APPS, "Deployment", namespace) == []


def test_a_finalizer_that_never_ends_is_named_with_its_remedy(
    make_plane: Callable[..., Kubernetes], rolled_out: Applied, objects: Objects, namespace: str, log: Log
) -> None:
    plane, all_of_it = make_plane(gone_deadline_s=1), frozenset({rolled_out.application})
    edit(objects, rolled_out, namespace, {"metadata": {"finalizers": ["example.com/never"]}}, "somebody")
    try:
        with pytest.raises(errors.StuckDeletionError, match=r"example\.com/never.*kubectl patch deployment"):
            plane.delete(all_of_it, log)
    finally:
        edit(objects, rolled_out, namespace, {"metadata": {"finalizers": None}}, "somebody")
    plane.delete(all_of_it, log)
    assert plane.status() == ()


def test_deleting_ends_pods_before_the_service_and_leaves_nothing(
    plane: Kubernetes, rolled_out: Applied, objects: Objects, namespace: str, log: Log
) -> None:
    plane.delete(frozenset({rolled_out.application}), log)
    ended = [line.message for line in log.lines if "waiting for the end" in line.message]
    assert "Deployment" in ended[0]
    assert objects.list("v1", "Pod", namespace) == []
    assert objects.list("v1", "Service", namespace, "slipway.dev/deployment") == []


def test_a_parked_revision_is_at_zero_and_comes_back(
    plane: Kubernetes, rolled_out: Applied, objects: Objects, namespace: str, log: Log
) -> None:
    assert plane.park(frozenset({rolled_out.application}), log) == frozenset()
    parked = plane.status("chat")[0]
    assert (parked.is_parked, parked.is_serving) == (True, False)
    plane.roll_back(rolled_out, 60, log)
    back = plane.status("chat")[0]
    assert (back.is_parked, back.is_serving, back.replicas_ready) == (False, True, 2)


def test_stable_names_lead_to_the_published_revision(
    plane: Kubernetes, rolled_out: Applied, objects: Objects, namespace: str, log: Log
) -> None:
    plane.publish(rolled_out)
    second = plane.render(fake(replicas=2, env={"NEW": "1"}))
    plane.apply(second)
    plane.wait(second, 60, log)
    plane.publish(second)
    plane.delete(frozenset({rolled_out.application}), log)
    stable = objects.get("v1", "Service", "chat", namespace)
    assert stable is not None
    assert stable["spec"]["selector"][identity.INSTANCE] == second.application
