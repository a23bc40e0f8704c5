"""Diffs by field, from what a list brings: documents with the records of owners that a server keeps."""

import copy
from typing import Any

import pytest

from slipway.dataplane.kubernetes.api.errors import Owner
from slipway.dataplane.kubernetes.objects import diff, owned_fields, plan
from slipway.runtimes.judging.objects import Object, ref_of
from slipway.runtimes.rendering import identity


def spec() -> Object:
    """A Deployment as it is rendered."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": "n", "labels": {identity.MANAGED_BY: "slipway", "a": "b"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "chat"}},
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": "i:1",
                            "args": ["x", "y"],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                            "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}},
                        }
                    ],
                    "tolerations": [{"key": "gpu", "operator": "Exists"}],
                }
            },
        },
    }


# What the server records for `spec()`, as FieldsV1 (read from a real one).
FIELDS: dict[str, Any] = {
    "f:metadata": {
        "f:annotations": {f"f:{diff.APPLIED}": {}},
        "f:labels": {f"f:{identity.MANAGED_BY}": {}, "f:a": {}},
    },
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:args": {},
                        "f:image": {},
                        "f:name": {},
                        "f:env": {
                            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                            'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
                        },
                        "f:resources": {"f:requests": {"f:cpu": {}, "f:memory": {}}},
                    }
                },
                "f:tolerations": {},
            }
        },
    },
}


def stored() -> Object:
    """What the server stores of it: quantities rewritten, defaults filled in, owners recorded."""
    made = diff.stamped(spec())
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["resources"]["requests"] = {"cpu": "500m", "memory": "1Gi"}
    container["imagePullPolicy"] = "IfNotPresent"
    made["spec"]["strategy"] = {"type": "RollingUpdate"}
    ours = {"manager": "slipway", "operation": "Apply", "fieldsV1": copy.deepcopy(FIELDS)}
    made["metadata"]["managedFields"] = [ours]
    return made


def edited(live: Object, manager: str, fields: dict[str, Any]) -> None:
    """Record an edit: the server takes the fields from us and gives them to who wrote them."""
    live["metadata"]["managedFields"].append({"manager": manager, "operation": "Update", "fieldsV1": fields})


def changes(wanted: Object, live: Object) -> list[str]:
    """Fields that differ, as people read them."""
    return [str(each) for each in diff.compare(diff.stamped(wanted), live)]


def container(obj: Object) -> dict[str, Any]:
    """Its one container."""
    found: dict[str, Any] = obj["spec"]["template"]["spec"]["containers"][0]
    return found


def test_what_was_applied_differs_in_nothing_however_the_server_writes_it() -> None:
    assert changes(spec(), stored()) == []


def test_the_same_amount_written_differently_is_no_change_of_a_field() -> None:
    respelled = spec()
    container(respelled)["resources"]["requests"]["cpu"] = "500m"
    found = changes(respelled, stored())
    assert len(found) == 1
    assert found[0].startswith(f"metadata.annotations.{diff.APPLIED}")


def test_an_image_an_argument_and_a_variable_are_named_by_field() -> None:
    wanted = spec()
    container(wanted).update(image="i:2", args=["x"])
    container(wanted)["env"][1]["value"] = "3"
    assert changes(wanted, stored()) == [
        "spec.template.spec.containers[main].image: i:1 -> i:2",
        'spec.template.spec.containers[main].args: ["x", "y"] -> ["x"]',
        "spec.template.spec.containers[main].env[B].value: 2 -> 3",
    ]


def test_what_is_not_wanted_any_more_goes_as_a_whole() -> None:
    wanted = spec()
    container(wanted)["env"].pop()
    del wanted["metadata"]["labels"]["a"]
    assert sorted(changes(wanted, stored())) == [
        "metadata.labels.a: b -> nothing",
        'spec.template.spec.containers[main].env[B]: {"name": "B", "value": "2"} -> nothing',
    ]


def test_an_edit_by_hand_is_shown_with_who_made_it() -> None:
    live = stored()
    live["spec"]["replicas"] = 5
    del live["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:replicas"]
    edited(live, "kubectl-edit", {"f:spec": {"f:replicas": {}}})
    assert changes(spec(), live) == ["spec.replicas: 5 -> 2 (changed by kubectl-edit)"]


def test_what_others_added_is_theirs() -> None:
    live = stored()
    live["metadata"]["labels"]["team"] = "x"
    container(live)["env"].append({"name": "INJECTED", "value": "1"})
    edited(live, "a-webhook", {"f:metadata": {"f:labels": {"f:team": {}}}})
    assert changes(spec(), live) == []


def test_records_that_somebody_stripped_make_an_update_not_a_surprise() -> None:
    live = stored()
    live["metadata"]["managedFields"] = []
    container(live)["image"] = "evil:1"
    assert changes(spec(), live) == ["spec.template.spec.containers[main].image: evil:1 -> i:1"]


def test_a_change_of_one_field_keeps_all_others_that_were_applied() -> None:
    found = owned_fields.extract(stored(), "slipway")
    assert found is not None
    assert "strategy" not in found["spec"]
    assert "imagePullPolicy" not in container(found)
    assert container(found)["args"] == ["x", "y"]
    assert found["metadata"]["labels"] == spec()["metadata"]["labels"]


class TestPlan:
    def test_what_is_not_there_is_created_and_what_differs_updated(self) -> None:
        wanted = spec()
        assert plan.plan([wanted], {})[0].action == "create"
        wanted["spec"]["replicas"] = 3
        assert plan.plan([wanted], {ref_of(wanted): stored()})[0].action == "update"

    def test_an_immutable_field_is_a_planned_replacement(self) -> None:
        wanted = spec()
        wanted["spec"]["selector"]["matchLabels"]["app"] = "other"
        assert plan.plan([wanted], {ref_of(wanted): stored()})[0].action == "replace"

    def test_an_object_that_is_ending_is_replaced(self) -> None:
        live = stored()
        live["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
        assert plan.plan([spec()], {ref_of(live): live})[0].action == "replace"

    def test_only_what_slipway_applied_is_pruned(self) -> None:
        ours, copied, foreign = stored(), stored(), stored()
        ours["metadata"]["name"] = "old"
        copied["metadata"] |= {"name": "by-operator", "ownerReferences": [{"controller": True, "uid": "u"}]}
        foreign["metadata"] |= {"name": "by-hand", "managedFields": []}
        live = {ref_of(each): each for each in (ours, copied, foreign)}
        assert [(each.ref.name, each.action) for each in plan.plan([], live)] == [("old", "delete")]

    def test_an_autoscaler_goes_before_what_it_scales_is_applied(self) -> None:
        scaler = stored() | {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        live = {ref_of(scaler): scaler}
        assert [each.action for each in plan.plan([spec()], live)] == ["delete", "create"]

    @pytest.mark.parametrize(
        ("kind", "owner", "is_autoscaled", "taken"),
        [
            ("Deployment", Owner("kubectl-edit", ".spec.template"), False, True),
            ("Deployment", Owner("kubectl", ".spec.replicas"), False, True),
            ("Deployment", Owner("kubectl", ".spec.replicas"), True, False),
            ("Deployment", Owner("kube-controller-manager", ".spec.replicas"), False, True),
            ("Deployment", Owner("kube-controller-manager", ".spec.replicas"), True, False),
            ("Deployment", Owner("argocd-controller", ".spec.template"), False, False),
            ("RayService", Owner("manager", ".spec.rayClusterConfig.workerGroupSpecs"), False, True),
            ("RayService", Owner("manager", ".spec.serveConfigV2"), False, False),
            ("NIMService", Owner("manager", ".spec.scale.hpa.maxReplicas"), False, True),
            ("NIMService", Owner("manager", ".spec.image.tag"), False, False),
        ],
    )
    def test_edits_by_hand_are_taken_back_and_autoscalers_left_alone(
        self, kind: str, owner: Owner, is_autoscaled: bool, taken: bool
    ) -> None:
        assert plan.may_take(kind, owner, is_autoscaled=is_autoscaled) is taken
