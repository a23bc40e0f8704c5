"""Every trap of the runtimes: what a plain readiness check takes for done, and what the verdict says."""

from typing import Any

import pytest

from slipway.runtimes import registry
from slipway.runtimes.judging.objects import is_true
from slipway.runtimes.judging.verdict import Seen
from slipway.runtimes.rendering import identity

from .observed import NAME, NEW, OLD, Trap, custom, deployment, pod, ready, seen, wanted
from .observed import conditions as told


def available(found: Seen) -> bool:
    """`kubectl wait --for=condition=Available`."""
    return is_true(found.of("Deployment")[0], "Available")


PLAIN = wanted("apps/v1", "Deployment")
DEPLOYMENT_TRAPS = {
    "the counts are of the old generation": Trap(
        PLAIN, seen(deployment(observed=1), pod(0, OLD), pod(1, OLD)), available
    ),
    "available through a rollout that hangs": Trap(
        PLAIN,
        seen(deployment(updated=1, total=3), pod(0, OLD), pod(1, OLD), pod(2, ready=False)),
        available,
    ),
    "an old pod is still ready beside the new ones": Trap(
        PLAIN, seen(deployment(), pod(0), pod(1), pod(2, OLD)), available
    ),
    "as many ready pods as wanted, one of them of the old spec": Trap(
        PLAIN, seen(deployment(), pod(0), pod(1, OLD)), available
    ),
    "a ready pod that is ending": Trap(PLAIN, seen(deployment(), pod(0), pod(1, ending=True)), available),
    "somebody applied another spec meanwhile": Trap(
        PLAIN, seen(deployment(OLD), pod(0, OLD), pod(1, OLD)), available, "overtaken"
    ),
    "at zero replicas nothing proves the spec": Trap(PLAIN, seen(deployment(replicas=0)), available, "idle"),
}

MODEL = wanted("kubeai.org/v1", "Model")


def model(replicas: int = 2, **spec: Any) -> dict[str, Any]:
    """A Model whose status says that all is ready, as it does for 3 s after any change."""
    env = {identity.SPEC_DIGEST_ENV: NEW}
    counts = {"all": replicas, "ready": replicas}
    return custom("Model", spec={"replicas": replicas, "env": env, **spec}, replicas=counts)


def model_pod(number: int, digest: str = NEW, pod_hash: str = "new", **fields: Any) -> dict[str, Any]:
    """A pod as KubeAI makes it: no annotation, the digest in its environment."""
    return pod(number, digest, in_env=True, labels={"model": NAME, "pod-hash": pod_hash}, **fields)


def all_ready(found: Seen) -> bool:
    """A Model's status: as many ready as there are."""
    counts = found.of("Model")[0]["status"]["replicas"]
    return bool(counts["ready"] == counts["all"])


KUBEAI_TRAPS = {
    "the status still counts the old pods": Trap(
        MODEL, seen(model(), model_pod(0, OLD, "old"), model_pod(1, OLD, "old")), all_ready
    ),
    "a surge pod hangs while the old one serves": Trap(
        MODEL,
        seen(model(replicas=1), model_pod(0, OLD, "old"), model_pod(1, ready=False)),
        all_ready,
    ),
    "pods of two hashes: an adapter came or went": Trap(
        MODEL, seen(model(), model_pod(0), model_pod(1, NEW, "newer")), all_ready
    ),
    "pods are ready and the shared cache is not loaded": Trap(
        MODEL, seen(model(cacheProfile="shared"), model_pod(0), model_pod(1)), all_ready
    ),
    "the operator has not set replicas yet": Trap(
        MODEL,
        seen(custom("Model", spec={"env": {identity.SPEC_DIGEST_ENV: NEW}}, replicas={"all": 0, "ready": 0})),
        all_ready,
    ),
}

ISVC = wanted("serving.kserve.io/v1beta1", "InferenceService")
LLM = wanted("serving.kserve.io/v1alpha2", "LLMInferenceService")


def service(kind: str = "InferenceService", **metadata: Any) -> dict[str, Any]:
    """A service that is Ready, as it is nearly always."""
    made = custom(kind, conditions=told(Ready=True), observedGeneration=2)
    made["metadata"].update(metadata)
    return made


PREDICTOR = f"{NAME}-predictor"
KSERVE_TRAPS = {
    "Ready stays True while rolling": Trap(
        ISVC,
        seen(service(), deployment(name=PREDICTOR, updated=1), pod(0), pod(1, OLD)),
        ready("InferenceService"),
    ),
    "Ready with the Deployment of before": Trap(
        ISVC, seen(service(), deployment(OLD, name=PREDICTOR), pod(0, OLD)), ready("InferenceService")
    ),
    "Ready with an image that cannot be pulled": Trap(
        ISVC,
        seen(
            service(),
            deployment(name=PREDICTOR, replicas=1, updated=1, total=2),
            pod(0, OLD),
            pod(
                1, ready=False, container={"state": {"waiting": {"reason": "ErrImagePull", "message": "EOF"}}}
            ),
        ),
        ready("InferenceService"),
    ),
    "Ready at zero replicas": Trap(
        ISVC, seen(service(), deployment(name=PREDICTOR, replicas=0)), ready("InferenceService"), "idle"
    ),
    "an LLMInferenceService says as little": Trap(
        LLM,
        seen(service("LLMInferenceService"), deployment(OLD, name=f"{NAME}-kserve"), pod(0, OLD)),
        ready("LLMInferenceService"),
    ),
    "Ready before there is any Deployment": Trap(ISVC, seen(service()), ready("InferenceService")),
}

NIM = wanted("apps.nvidia.com/v1alpha1", "NIMService")


def nim_ready(found: Seen) -> bool:
    """`state: Ready`, which carries no generation."""
    return found.of("NIMService")[0]["status"]["state"] == "Ready"


NIM_TRAPS = {
    "state lags a change by 0.15 s": Trap(
        NIM, seen(custom("NIMService", state="Ready"), deployment(OLD), pod(0, OLD), pod(1, OLD)), nim_ready
    ),
    "Ready while its Deployment rolls": Trap(
        NIM,
        seen(custom("NIMService", state="Ready"), deployment(updated=1), pod(0), pod(1, OLD)),
        nim_ready,
    ),
}

GRAPH = wanted("nvidia.com/v1beta1", "DynamoGraphDeployment")


def graph(observed: int = 2, **status: Any) -> dict[str, Any]:
    """A graph that is Ready."""
    spec = {"components": [{"name": "Frontend", "replicas": 1}, {"name": "Worker", "replicas": 1}]}
    status = {"observedGeneration": observed, "conditions": told(Ready=True), **status}
    return custom("DynamoGraphDeployment", spec=spec, **status)


DYNAMO_TRAPS = {
    "Ready is of the generation before": Trap(
        GRAPH, seen(graph(observed=1), pod(0), pod(1)), ready("DynamoGraphDeployment")
    ),
    "Ready while workers are replaced": Trap(
        GRAPH,
        seen(graph(rollingUpdate={"phase": "InProgress"}), pod(0), pod(1)),
        ready("DynamoGraphDeployment"),
    ),
    "an old worker answers beside the new one": Trap(
        GRAPH, seen(graph(), pod(0), pod(1), pod(2, OLD)), ready("DynamoGraphDeployment")
    ),
}

GROUPS = wanted("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet")


def groups(digest: str = NEW, **status: Any) -> dict[str, Any]:
    """A set of two groups that is Available."""
    template = {"metadata": {"annotations": {identity.SPEC_DIGEST: digest}}, "spec": {}}
    spec = {"replicas": 2, "leaderWorkerTemplate": {"workerTemplate": template}}
    done = {"observedGeneration": 2, "readyReplicas": 2, "updatedReplicas": 2}
    return custom("LeaderWorkerSet", spec=spec, **{**done, "conditions": told(Available=True), **status})


def groups_available(found: Seen) -> bool:
    """The condition Available."""
    return is_true(found.of("LeaderWorkerSet")[0], "Available")


LWS_TRAPS = {
    "Available of the generation before": Trap(
        GROUPS, seen(groups(observedGeneration=1), pod(0), pod(1)), groups_available
    ),
    "Available with groups of both specs": Trap(
        GROUPS, seen(groups(updatedReplicas=1), pod(0), pod(1, OLD)), groups_available
    ),
}

TRAPS = {
    f"{kind}: {name}": trap
    for kind, traps in (
        ("Deployment", DEPLOYMENT_TRAPS),
        ("KubeAI", KUBEAI_TRAPS),
        ("KServe", KSERVE_TRAPS),
        ("NIM", NIM_TRAPS),
        ("Dynamo", DYNAMO_TRAPS),
        ("LeaderWorkerSet", LWS_TRAPS),
    )
    for name, trap in traps.items()
}

TRULY = {
    "Deployment": (PLAIN, seen(deployment(), pod(0), pod(1))),
    "Deployment with a pod that is ending": (
        PLAIN,
        seen(deployment(), pod(0), pod(1), pod(2, OLD, ending=True, ready=False)),
    ),
    "Model": (MODEL, seen(model(), model_pod(0), model_pod(1))),
    "InferenceService": (ISVC, seen(service(), deployment(name=PREDICTOR), pod(0), pod(1))),
    # Only bounds of replicas changed: observedGeneration stays behind for good.
    "InferenceService with new bounds": (
        ISVC,
        seen(
            custom("InferenceService", generation=3, observedGeneration=2, conditions=told(Ready=True)),
            deployment(name=PREDICTOR),
            pod(0),
            pod(1),
        ),
    ),
    "LLMInferenceService": (
        LLM,
        seen(service("LLMInferenceService"), deployment(name=f"{NAME}-kserve"), pod(0), pod(1)),
    ),
    # NotReady lags, too.
    "NIMService": (NIM, seen(custom("NIMService", state="NotReady"), deployment(), pod(0), pod(1))),
    "DynamoGraphDeployment": (GRAPH, seen(graph(rollingUpdate={"phase": "Completed"}), pod(0), pod(1))),
    "LeaderWorkerSet": (GROUPS, seen(groups(), pod(0), pod(1))),
}


@pytest.mark.parametrize("name", TRAPS)
def test_what_a_readiness_check_takes_for_done_is_not_done(name: str) -> None:
    trap = TRAPS[name]
    assert trap.naive(trap.seen), "the trap does not deceive anybody"
    found = registry.workload(trap.wanted.workload.kind).judge.verdict(trap.wanted, trap.seen)
    assert found.state == trap.expected, found.message


@pytest.mark.parametrize("name", TRULY)
def test_what_truly_serves_is_done(name: str) -> None:
    asked, found = TRULY[name]
    verdict = registry.workload(asked.workload.kind).judge.verdict(asked, found)
    assert verdict.state == "serving", verdict.message


@pytest.mark.parametrize("kind", sorted(registry.workloads()))
def test_a_workload_that_is_not_there_is_missing(kind: str) -> None:
    config = {"spec": {"serveConfigV2": f"applications: [{{name: {NAME}}}]"}}
    asked = wanted("v1", kind, config)
    assert registry.workload(kind).judge.verdict(asked, seen()).state == "missing"


def test_a_nim_service_without_a_deployment_is_waited_for_with_the_operator_s_reason() -> None:
    behind = custom(
        "NIMService", conditions=told(Ready=("False", "NIMCacheNotReady", "NIMCache c not ready"))
    )
    found = registry.workload("NIMService").judge.verdict(NIM, seen(behind))
    assert (found.state, found.message) == (
        "waiting",
        "the operator has not made its Deployment: NIMCache c not ready",
    )


def test_a_nim_service_is_failed_once_it_stays_so() -> None:
    broken = custom(
        "NIMService", state="Failed", conditions=told(Failed=("True", "NoMonitor", "no ServiceMonitor CRD"))
    )
    judge = registry.workload("NIMService").judge.verdict
    assert judge(NIM, seen(broken, unchanged_s=0.2)).state == "waiting"
    assert judge(NIM, seen(broken, unchanged_s=6)).state == "failed"
    assert "no ServiceMonitor CRD" in judge(NIM, seen(broken, unchanged_s=6)).message
