"""KubeRay's traps on a real API server: Ready is True through all of them.

Belongs here: RayService alone. Does not: the other operators (test_traps_of_operators.py).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes.client import ApiClient

from slipway.dataplane.errors import NotServingError
from slipway.dataplane.kubernetes.api import errors
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.records.revisions import Applied
from slipway.runtimes.cluster import rbac
from slipway.runtimes.kuberay import judge as judging
from slipway.runtimes.kuberay.render import CLUSTER_DIGEST
from testbed.cluster.objects import condition, eventually

from ..runtimes.rich import cluster_settings
from .kubelet_double import READY, STARTING, UNPULLABLE, KubeletDouble
from .kuberay_double import KubeRayDouble
from .rolling import Rollout, revision

NAME = "inference"  # of the one RayService of a namespace
# Another size of pods is another cluster; another variable is another config of the same one.
BIGGER = {"resources": {"requests": {"cpu": 2}}}


@dataclass
class Ray:
    """A first revision that serves, and all that the next one needs."""

    plane: Kubernetes
    operator: KubeRayDouble
    kubelet: KubeletDouble

    def revision(self, number: int, **fields: Any) -> Applied:
        """A revision, rendered."""
        return self.plane.render(revision("kuberay", number, **fields))

    @property
    def is_ready(self) -> bool:
        """`kubectl wait --for=condition=Ready`."""
        return condition(self.operator.now(NAME), "Ready") == "True"


@pytest.fixture
def ray(api: ApiClient, own_api: KubernetesApi, crds: Callable[..., None], namespace: str) -> Iterator[Ray]:
    """The first revision serves, and Ready says so."""
    crds("ray.io_rayservices")
    with KubeletDouble(api, namespace) as kubelet, KubeRayDouble(api, namespace) as operator:
        plane = Kubernetes(own_api, cluster_settings(namespace), ask=operator.dashboard)
        made = Ray(plane, operator, kubelet)
        Rollout(plane, made.revision(1)).end()
        eventually(lambda: made.is_ready, "the first revision is said to be ready")
        operator.until_idle()
        yield made


@dataclass(frozen=True)
class Trap:
    """Ready holds at `stage` although the second revision does not serve."""

    stage: str
    mode: str = ""
    fate: str = READY
    fields: dict[str, Any] = field(default_factory=dict)


TRAPS = {
    "the new generation with the old RUNNING": Trap("stale"),
    "RUNNING with an empty map of deployments": Trap("deployed", "no-deployments"),
    "a second cluster hangs while the first serves": Trap("pending", fate=STARTING, fields=BIGGER),
}


@pytest.mark.parametrize("name", TRAPS)
def test_ready_is_not_believed(name: str, ray: Ray) -> None:
    trap = TRAPS[name]
    second = ray.revision(2, **trap.fields)
    ray.operator.mode = trap.mode
    ray.operator.stop_at(trap.stage)
    ray.kubelet.fates[cluster_digest(second)] = trap.fate
    rollout = Rollout(ray.plane, second)

    ray.operator.until_there()
    assert ray.is_ready
    time.sleep(1.2)  # the dashboard is asked every half second
    assert rollout.goes_on, rollout.error or rollout.reports

    ray.kubelet.fates.clear()
    ray.operator.go_on()
    rollout.end()
    assert rollout.reports[-1].state == "serving"


def test_a_broken_import_ends_the_wait_with_python_s_own_error_while_ready_stays_true(ray: Ray) -> None:
    ray.operator.mode = "broken-import"
    ray.operator.stop_at("deployed")
    with pytest.raises(NotServingError, match="No module named 'nowhere'"):
        Rollout(ray.plane, ray.revision(2)).end()
    assert ray.is_ready


def test_a_second_cluster_that_cannot_import_ends_the_wait_while_the_first_serves(ray: Ray) -> None:
    ray.operator.mode = "broken-import"
    with pytest.raises(NotServingError, match=r"on the new cluster .*: .*No module named 'nowhere'"):
        Rollout(ray.plane, ray.revision(2, **BIGGER)).end()
    assert ray.is_ready


def test_the_failure_of_the_config_before_is_not_taken_for_this_one_s(ray: Ray) -> None:
    ray.operator.mode = "broken-import"
    with pytest.raises(NotServingError):
        Rollout(ray.plane, ray.revision(2)).end()
    ray.operator.until_idle()
    ray.operator.mode = ""
    ray.operator.stop_at("stale")  # the new generation, and Serve's old word
    rollout = Rollout(ray.plane, ray.revision(3))
    ray.operator.until_there()
    time.sleep(0.8)
    assert rollout.goes_on, rollout.error or rollout.reports
    ray.operator.go_on()
    rollout.end()


def test_a_config_that_ray_refuses_ends_the_wait_with_the_event_while_ready_stays_true(
    ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "REFUSED_AFTER_S", 1.0)
    ray.operator.mode = "refused"
    with pytest.raises(NotServingError, match="num_replicas must be positive"):
        Rollout(ray.plane, ray.revision(2)).end()
    assert ray.is_ready


def test_a_second_cluster_without_an_image_ends_the_wait_while_ready_stays_true(ray: Ray) -> None:
    second = ray.revision(2, **BIGGER)
    ray.kubelet.fates[cluster_digest(second)] = UNPULLABLE
    with pytest.raises(NotServingError, match="ErrImagePull: manifest unknown"):
        Rollout(ray.plane, second).end()
    assert ray.is_ready


def test_a_change_of_the_cluster_that_is_never_applied_is_never_serving(ray: Ray) -> None:
    ray.operator.mode = "never-upgrades"
    with pytest.raises(NotServingError, match=r"2 of 2 pods of .* are of another cluster spec"):
        Rollout(ray.plane, ray.revision(2, **BIGGER), deadline_s=3).end()
    assert ray.is_ready


def test_without_the_right_to_ask_ray_the_wait_ends_and_names_it(
    ray: Ray, as_role: Callable[..., ApiClient], namespace: str
) -> None:
    rules = [each for each in rbac.role(namespace, "s")["rules"] if "pods/proxy" not in each["resources"]]
    api = KubernetesApi(as_role(rules, rbac.cluster_role()["rules"]), patience_s=10)
    plane = Kubernetes(api, cluster_settings(namespace))  # asks through the API server, as in life
    with pytest.raises(errors.ForbiddenError, match=r'may not get pods/proxy.*verbs: \["get"\]'):
        Rollout(plane, ray.revision(1)).end()


def cluster_digest(wanted: Applied) -> str:
    """What pods of the revision's cluster carry."""
    service = next(each for each in wanted.rendered["objects"] if each["kind"] == "RayService")
    return str(service["metadata"]["annotations"][CLUSTER_DIGEST])
