"""Every trap on a real API server: what a readiness check takes for done is waited for, and then is done.

Belongs here: operators that make pods or a Deployment. Does not: KubeRay
(test_traps_of_kuberay.py), the same judged without a server (tests/unit/dataplane/kubernetes).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes.client import ApiClient

from slipway.dataplane.errors import NotServingError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.runtimes.nim import judge as judging_nim
from testbed.cluster.objects import Object, condition, eventually

from ..runtimes.rich import cluster_settings
from .dynamo_double import DynamoDouble
from .kserve_double import InferenceServiceDouble, LLMInferenceServiceDouble
from .kubeai_double import KubeAIDouble
from .kubelet_double import READY, STARTING, UNPULLABLE, KubeletDouble
from .leaderworkerset_double import LeaderWorkerSetDouble
from .nim_double import NimDouble
from .operator_double import OperatorDouble
from .rolling import Rollout, revision

# Long enough for a wait that is deceived to end: it looks at every change, and every half second.
_LOOKED_S = 0.8


def is_ready(found: Object) -> bool:
    """`kubectl wait --for=condition=Ready`."""
    return condition(found, "Ready") == "True"


def is_available(found: Object) -> bool:
    """`kubectl wait --for=condition=Available`."""
    return condition(found, "Available") == "True"


def says_ready(found: Object) -> bool:
    """NIM's own state."""
    return bool(found.get("status", {}).get("state") == "Ready")


def counts_ready(found: Object) -> bool:
    """KubeAI's numbers."""
    counts = found.get("status", {}).get("replicas", {})
    return bool(counts.get("ready", 0) >= found["spec"].get("replicas", 1))


def counts_groups(found: Object) -> bool:
    """LeaderWorkerSet's numbers."""
    status = found.get("status", {})
    return bool(status.get("readyReplicas") == status.get("replicas") == found["spec"]["replicas"])


@dataclass(frozen=True)
class Trap:
    """`naive` holds at `stage` although the second revision does not serve; its pods fare as `fate` says."""

    double: type[OperatorDouble]
    stage: str
    naive: Callable[[Object], bool]
    runtime: str
    fate: str = READY
    mode: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def crd(self) -> str:
        """File name of the kind's definition."""
        return CRDS[self.double]


CRDS: dict[type[OperatorDouble], str] = {
    NimDouble: "apps.nvidia.com_nimservices",
    InferenceServiceDouble: "serving.kserve.io_inferenceservices",
    LLMInferenceServiceDouble: "serving.kserve.io_llminferenceservices",
    KubeAIDouble: "kubeai.org_models",
    LeaderWorkerSetDouble: "leaderworkerset.x-k8s.io_leaderworkersets",
    DynamoDouble: "nvidia.com_dynamographdeployments",
}
TWO_NODES = {"nodes_per_replica": 2, "replicas": 2, "resources": {"gpu": {"count": 8}}}
ADAPTED = {"adapters": ["tone"]}
TRAPS = {
    "NIM: state lags a change": Trap(NimDouble, "lags", says_ready, "nim"),
    "KServe: Ready of the Deployment of before": Trap(InferenceServiceDouble, "unseen", is_ready, "kserve"),
    "KServe: Ready while rolling": Trap(InferenceServiceDouble, "rolls", is_ready, "kserve", STARTING),
    "KServe: Ready of an LLMInferenceService while rolling": Trap(
        LLMInferenceServiceDouble, "rolls", is_ready, "kserve", STARTING, fields=ADAPTED
    ),
    "KubeAI: the old counts": Trap(KubeAIDouble, "stale", counts_ready, "kubeai"),
    "KubeAI: a surge pod that hangs": Trap(
        KubeAIDouble, "surge", counts_ready, "kubeai", STARTING, mode="surge"
    ),
    "LeaderWorkerSet: Available of the generation before": Trap(
        LeaderWorkerSetDouble, "unseen", is_available, "vllm", fields=TWO_NODES
    ),
    "LeaderWorkerSet: all groups ready, of both specs": Trap(
        LeaderWorkerSetDouble, "half", counts_groups, "vllm", fields=TWO_NODES
    ),
    "Dynamo: Ready of the generation before": Trap(DynamoDouble, "unseen", is_ready, "dynamo"),
    "Dynamo: Ready while workers are replaced": Trap(DynamoDouble, "rolls", is_ready, "dynamo", STARTING),
}


@pytest.mark.parametrize("name", TRAPS)
def test_what_a_readiness_check_takes_for_done_is_waited_for_and_then_is_done(
    name: str, api: ApiClient, own_api: KubernetesApi, crds: Callable[..., None], namespace: str
) -> None:
    trap = TRAPS[name]
    crds(trap.crd)
    plane = Kubernetes(own_api, cluster_settings(namespace))
    first, second = (plane.render(revision(trap.runtime, number, **trap.fields)) for number in (1, 2))
    with KubeletDouble(api, namespace) as kubelet, trap.double(api, namespace) as operator:
        Rollout(plane, first).end()
        eventually(lambda: trap.naive(operator.now("chat")), "the first revision is said to be ready")
        operator.until_idle()
        operator.mode = trap.mode
        operator.stop_at(trap.stage)
        kubelet.fates[second.spec_digest] = trap.fate
        rollout = Rollout(plane, second)

        operator.until_there()
        assert trap.naive(operator.now("chat")), "the trap deceives nobody"
        time.sleep(_LOOKED_S)
        assert rollout.goes_on, rollout.error or rollout.reports

        kubelet.fates.clear()
        operator.go_on()
        rollout.end()
        assert rollout.reports[-1].state == "serving"


NO_IMAGE = {
    "KServe": (TRAPS["KServe: Ready while rolling"], is_ready),
    "LLMInferenceService": (TRAPS["KServe: Ready of an LLMInferenceService while rolling"], is_ready),
    "KubeAI": (TRAPS["KubeAI: a surge pod that hangs"], counts_ready),
    "NIM": (TRAPS["NIM: state lags a change"], lambda found: found["status"]["state"] == "NotReady"),
    "Dynamo": (TRAPS["Dynamo: Ready while workers are replaced"], is_ready),
}


@pytest.mark.parametrize("name", NO_IMAGE)
def test_an_image_that_cannot_be_pulled_ends_the_wait_with_its_name_while_the_status_never_says_failed(
    name: str, api: ApiClient, own_api: KubernetesApi, crds: Callable[..., None], namespace: str
) -> None:
    trap, status_says_nothing = NO_IMAGE[name]
    crds(trap.crd)
    plane = Kubernetes(own_api, cluster_settings(namespace))
    first, second = (plane.render(revision(trap.runtime, number, **trap.fields)) for number in (1, 2))
    with KubeletDouble(api, namespace) as kubelet, trap.double(api, namespace) as operator:
        Rollout(plane, first).end()
        operator.mode = trap.mode
        kubelet.fates[second.spec_digest] = UNPULLABLE
        with pytest.raises(NotServingError, match="ErrImagePull: manifest unknown"):
            Rollout(plane, second).end()
        assert status_says_nothing(operator.now("chat"))


def test_ready_at_zero_replicas_is_not_serving(
    api: ApiClient, own_api: KubernetesApi, crds: Callable[..., None], namespace: str
) -> None:
    crds("serving.kserve.io_inferenceservices")
    plane = Kubernetes(own_api, cluster_settings(namespace))
    wanted = plane.render(revision("kserve", 1))
    with KubeletDouble(api, namespace), InferenceServiceDouble(api, namespace) as operator:
        operator.mode = "zero"
        with pytest.raises(NotServingError, match="not within 3 s: at zero replicas"):
            Rollout(plane, wanted, deadline_s=3).end()
        assert is_ready(operator.now("chat"))


def test_a_nim_service_that_stays_failed_ends_the_wait_with_the_operator_s_reason(
    api: ApiClient,
    own_api: KubernetesApi,
    crds: Callable[..., None],
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging_nim, "FAILED_AFTER_S", 1.0)
    crds("apps.nvidia.com_nimservices")
    plane = Kubernetes(own_api, cluster_settings(namespace))
    with NimDouble(api, namespace) as operator:
        operator.mode = "no-monitor"
        with pytest.raises(NotServingError, match="no matches for kind ServiceMonitor"):
            Rollout(plane, plane.render(revision("nim", 1))).end()


def test_zeros_that_an_operator_filled_in_do_not_stand_in_the_way_of_an_autoscaler(
    api: ApiClient, own_api: KubernetesApi, crds: Callable[..., None], namespace: str
) -> None:
    crds("apps.nvidia.com_nimservices")
    plane = Kubernetes(own_api, cluster_settings(namespace))
    scaled = {"autoscaling": {"min_replicas": 1, "max_replicas": 3, "target": {"cpu_percent": 60}}}
    with KubeletDouble(api, namespace), NimDouble(api, namespace) as operator:
        Rollout(plane, plane.render(revision("nim", 1))).end()
        assert operator.now("chat")["spec"]["scale"]["hpa"]["maxReplicas"] == 0
        Rollout(plane, plane.render(revision("nim", 2, **scaled))).end()
        assert operator.now("chat")["spec"]["scale"]["hpa"]["maxReplicas"] == 3
