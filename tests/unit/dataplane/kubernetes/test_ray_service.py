"""The traps of KubeRay: its Ready says almost nothing, so four things are read instead."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from slipway.runtimes.kuberay import judge as kuberay
from slipway.runtimes.kuberay.render import CLUSTER_DIGEST

from .observed import NAME, NEW, NOW, OLD, Trap, custom, pod, ready, seen, wanted
from .observed import conditions as told

OURS = {"name": NAME, "route_prefix": f"/{NAME}", "args": {"spec_digest": NEW}}
OTHER = {"name": "other", "route_prefix": "/other", "args": {"spec_digest": OLD}}


def ray_service(*applications: Any, **status: Any) -> dict[str, Any]:
    """A RayService whose Ready is True and whose cluster `c1` is active."""
    config = yaml.safe_dump({"applications": list(applications)})
    made = custom("RayService", spec={"serveConfigV2": config, **status.pop("spec", {})}, **status)
    made["metadata"]["annotations"] = {CLUSTER_DIGEST: NEW}
    return made


RAY = wanted("ray.io/v1", "RayService", ray_service(OURS))
HEALTHY = {"status": "RUNNING", "serveDeploymentStatuses": {"d": {"status": "HEALTHY"}}}


def ray_status(
    applications: Any, observed: int = 2, upgrade: bool = False, pending: str = ""
) -> dict[str, Any]:
    """The status of a RayService."""
    return {
        "observedGeneration": observed,
        "numServeEndpoints": 2,
        "conditions": told(Ready=True, UpgradeInProgress=upgrade),
        "activeServiceStatus": {"rayClusterName": "c1", "applicationStatuses": applications},
        "pendingServiceStatus": {"rayClusterName": pending} if pending else {},
    }


def ray_pod(number: int, digest: str = NEW, cluster: str = "c1", **fields: Any) -> dict[str, Any]:
    """A pod of a Ray cluster."""
    return pod(number, digest, in_env=True, labels={"ray.io/cluster": cluster}, **fields)


def dashboard(
    config: Any, status: str = "RUNNING", message: str = "", engine: str | None = "HEALTHY"
) -> dict[str, Any]:
    """Serve's own document; `engine`: the state of the application's deployment, None: it has none yet."""
    deployments = {} if engine is None else {"d": {"status": engine}}
    told = {"deployed_app_config": config, "status": status, "message": message, "deployments": deployments}
    return {"applications": {config["name"]: told}}


HOLDS = dashboard(OURS)
PODS = (ray_pod(0), ray_pod(1))
OLD_CONFIG = dashboard({**OURS, "args": {"spec_digest": OLD}})
BROKEN = dashboard(OURS, "DEPLOY_FAILED", "ModuleNotFoundError: No module named 'nowhere'")
FAILED = {"status": "DEPLOY_FAILED", "message": "ModuleNotFoundError: No module named 'nowhere'"}
ray_ready = ready("RayService")

RAY_TRAPS = {
    "the new generation with the old RUNNING, for 2 s": Trap(
        RAY, seen(ray_service(OURS, **ray_status({NAME: HEALTHY})), *PODS, dashboard=OLD_CONFIG), ray_ready
    ),
    "the old RUNNING was read just before Serve took the new config, without deployments yet": Trap(
        RAY,
        seen(ray_service(OURS, **ray_status({NAME: HEALTHY})), *PODS, dashboard=dashboard(OURS, engine=None)),
        ray_ready,
    ),
    "the old RUNNING was read just before Serve took the new config, which it brings up": Trap(
        RAY,
        seen(
            ray_service(OURS, **ray_status({NAME: HEALTHY})),
            *PODS,
            dashboard=dashboard(OURS, engine="UPDATING"),
        ),
        ray_ready,
    ),
    "Ready through a broken import": Trap(
        RAY,
        seen(ray_service(OURS, **ray_status({NAME: FAILED})), *PODS, dashboard=BROKEN),
        ray_ready,
        "failed",
    ),
    "the new generation with the old DEPLOY_FAILED, for 2 s": Trap(
        RAY,
        seen(ray_service(OURS, **ray_status({NAME: FAILED})), *PODS, dashboard=dashboard(OURS, "DEPLOYING")),
        ray_ready,
    ),
    "the old DEPLOY_FAILED while the dashboard does not answer": Trap(
        RAY, seen(ray_service(OURS, **ray_status({NAME: FAILED})), *PODS, dashboard={}), ray_ready
    ),
    "a second cluster whose application fails stays pending while the first serves": Trap(
        RAY,
        seen(
            ray_service(OURS, **ray_status({NAME: HEALTHY}, upgrade=True, pending="c2")),
            *PODS,
            ray_pod(2, cluster="c2"),
            dashboard=BROKEN,
        ),
        ray_ready,
        "failed",
    ),
    "a config that Ray refuses leaves observedGeneration behind": Trap(
        RAY,
        seen(ray_service(OURS, **ray_status({NAME: HEALTHY}, observed=1)), *PODS, dashboard=HOLDS),
        ray_ready,
    ),
    "RUNNING with an empty map of deployments": Trap(
        RAY,
        seen(
            ray_service(OURS, **ray_status({NAME: {"status": "RUNNING", "serveDeploymentStatuses": {}}})),
            *PODS,
            dashboard=HOLDS,
        ),
        ray_ready,
    ),
    "the status does not tell of our application yet": Trap(
        RAY,
        seen(ray_service(OURS, OTHER, **ray_status({"other": HEALTHY})), *PODS, dashboard=HOLDS),
        ray_ready,
    ),
    "a second cluster starts while the first serves": Trap(
        RAY,
        seen(
            ray_service(OURS, **ray_status({NAME: HEALTHY}, upgrade=True, pending="c2")),
            *PODS,
            ray_pod(2, cluster="c2", ready=False),
            dashboard=HOLDS,
        ),
        ray_ready,
    ),
    "upgradeStrategy None never applies a change of the cluster": Trap(
        RAY,
        seen(
            ray_service(OURS, spec={"upgradeStrategy": {"type": "None"}}, **ray_status({NAME: HEALTHY})),
            ray_pod(0, OLD),
            ray_pod(1, OLD),
            dashboard=HOLDS,
        ),
        ray_ready,
    ),
    "the dashboard does not answer": Trap(
        RAY, seen(ray_service(OURS, **ray_status({NAME: HEALTHY})), *PODS, dashboard={}), ray_ready
    ),
    "somebody put another config": Trap(
        RAY,
        seen(ray_service(OTHER, **ray_status({"other": HEALTHY})), *PODS, dashboard=HOLDS),
        ray_ready,
        "overtaken",
    ),
}

TRULY = {
    "RayService": (RAY, seen(ray_service(OURS, **ray_status({NAME: HEALTHY})), *PODS, dashboard=HOLDS)),
    # UPSCALING is normal while serving, and another application's trouble is not ours.
    "RayService beside a broken application": (
        RAY,
        seen(
            ray_service(
                OURS,
                OTHER,
                **ray_status(
                    {
                        NAME: {
                            "status": "RUNNING",
                            "serveDeploymentStatuses": {"d": {"status": "UPSCALING"}},
                        },
                        "other": {"status": "DEPLOY_FAILED"},
                    }
                ),
            ),
            *PODS,
            dashboard=HOLDS,
        ),
    ),
}


@pytest.mark.parametrize("name", RAY_TRAPS)
def test_what_ready_says_is_not_that_our_config_serves(name: str) -> None:
    trap = RAY_TRAPS[name]
    assert trap.naive(trap.seen), "the trap does not deceive anybody"
    found = kuberay.verdict(trap.wanted, trap.seen)
    assert found.state == trap.expected, found.message


@pytest.mark.parametrize("name", TRULY)
def test_what_truly_serves_is_done(name: str) -> None:
    found = kuberay.verdict(*TRULY[name])
    assert found.state == "serving", found.message


def refusal(age_s: float, reason: str = "FailedToUpdateServeApplications") -> dict[str, Any]:
    """What KubeRay says of a config, `age_s` ago."""
    at = (NOW - timedelta(seconds=age_s)).isoformat()
    return {
        "kind": "Event",
        "metadata": {"name": "e"},
        "reason": reason,
        "message": "num_replicas must be >= 0",
        "eventTime": at,
    }


BEHIND = ray_service(OURS, **ray_status({NAME: HEALTHY}, observed=1))


def test_a_refused_ray_config_fails_with_the_event_that_tells_of_it() -> None:
    found = kuberay.verdict(RAY, seen(BEHIND, *PODS, refusal(2), dashboard=HOLDS, unchanged_s=11))
    assert found.state == "failed"
    assert "num_replicas must be >= 0" in found.message


@pytest.mark.parametrize("event", [refusal(60), refusal(2, "FailedToCreateRayCluster")])
def test_another_config_s_refusal_and_another_trouble_are_not_taken_for_a_refusal_of_this_one(
    event: dict[str, Any],
) -> None:
    found = kuberay.verdict(RAY, seen(BEHIND, *PODS, event, dashboard=HOLDS, unchanged_s=11))
    assert (found.state, found.message) == ("waiting", "the operator has not seen the new spec")


def test_who_only_reads_the_cluster_believes_the_operator_about_a_failure() -> None:
    found = kuberay.verdict(RAY, seen(ray_service(OURS, **ray_status({NAME: FAILED})), *PODS))
    assert (found.state, found.message) == (
        "failed",
        "DEPLOY_FAILED: ModuleNotFoundError: No module named 'nowhere'",
    )


def test_the_first_cluster_is_not_said_to_stand_beside_another() -> None:
    status = {
        "observedGeneration": 2,
        "conditions": told(Ready=False, UpgradeInProgress=False),
        "pendingServiceStatus": {"rayClusterName": "c1"},
    }
    found = kuberay.verdict(RAY, seen(ray_service(OURS, **status), ray_pod(0, ready=False), dashboard={}))
    assert (found.state, found.message) == ("waiting", "a new cluster c1 starts")


def test_a_cluster_whose_proxies_are_not_behind_the_service_yet_is_waited_for() -> None:
    status = ray_status({NAME: HEALTHY}) | {"conditions": told(Ready=False, UpgradeInProgress=False)}
    found = kuberay.verdict(RAY, seen(ray_service(OURS, **status), *PODS, dashboard=HOLDS))
    assert (found.state, found.message) == ("waiting", "its Service has no endpoint yet")
