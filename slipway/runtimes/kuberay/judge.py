"""Judging one application of a RayService: the service, its cluster, Serve's own word, and the pods.

Belongs here: when a RayService serves an application of its config. Pure.
Does not: Serve's messages (slipway.runtimes.ray.serve_status), asking the dashboard (dashboard.py).

The traps: Ready only means numServeEndpoints > 0. After a change the status shows the new observedGeneration
with the old RUNNING, or the old DEPLOY_FAILED, for about 2 s, so Serve itself must hold our configuration. A
config that Ray refuses leaves observedGeneration behind, with an event and no condition. An application's
deployments may be an empty map. A broken cluster stays pending for ever, the first one as well as a second
beside one that serves, and only its own Serve says why. `upgradeStrategy: None` never applies a change of the
cluster, so the pods' digest is read, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import yaml

from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import (
    Object,
    annotations_of,
    event_time,
    is_observed,
    is_true,
    labels_of,
)
from slipway.runtimes.judging.verdict import Judge, Reason, Seen, Target, Verdict, Wanted
from slipway.runtimes.kuberay.render import CLUSTER_DIGEST
from slipway.runtimes.ray import serve_config, serve_status

CLUSTER_LABEL = "ray.io/cluster"
# KubeRay tells of a refused config by an event alone; one that stays unseen this long was refused.
REFUSED_AFTER_S = 10.0

_REFUSALS = frozenset(
    {"FailedToUpdateServeApplications", "InvalidRayServiceSpec", "InvalidRayServiceMetadata"}
)
# Instants of events are whole seconds of another machine's clock.
_CLOCK_SKEW_S = 5.0

_SERVING = frozenset({"HEALTHY", "UPSCALING", "DOWNSCALING"})


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The service by name, pods of its clusters, and what is said of it."""
    ref = wanted.workload
    return {
        ref.kind: Target(ref.api_version, ref.kind, ref.namespace, fields=f"metadata.name={ref.name}"),
        "Pod": Target("v1", "Pod", ref.namespace, labels=CLUSTER_LABEL),
        "Event": Target("v1", "Event", ref.namespace, fields=f"involvedObject.name={ref.name},type=Warning"),
    }


def applications(service: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The applications of a RayService's config by name; none where it cannot be read."""
    try:
        config = yaml.safe_load(service["spec"].get("serveConfigV2") or "") or {}
        return {str(each["name"]): each for each in config.get("applications") or ()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Judge this application within its service."""
    service = seen.named(wanted.workload.kind, wanted.workload.name)
    if service is None:
        return Verdict("missing", "the RayService is not there")
    ours, live = applications(wanted.rendered)[wanted.application], applications(service)
    if serve_config.differences(ours, live.get(wanted.application, {})):
        change = "has another config now" if wanted.application in live else "is not in the config any more"
        return Verdict("overtaken", f"{wanted.application} {change}")
    status = service.get("status") or {}
    active = status.get("activeServiceStatus") or {}
    ready, replicas = _counts(seen.own_word, wanted.application)
    told = (active.get("applicationStatuses") or {}).get(wanted.application)
    failed = _failure(told, seen.own_word, ours)
    unseen = _unseen(service, status, seen, failed)
    if unseen is not None:
        return Verdict(unseen.state, unseen.message, ready, replicas, unseen.pod)
    if failed:
        return Verdict("failed", failed, ready, replicas)
    of_status = _of_status(active, live, told)
    unfinished = (
        of_status
        or _of_serve(seen.own_word, ours)
        or _of_pods(service, str(active.get("rayClusterName") or ""), seen.of("Pod"))
        or ("" if is_true(service, "Ready") else "its Service has no endpoint yet")
    )
    if unfinished:
        reason: Reason = "unasked" if seen.own_word is None and not of_status else ""
        return replace(_waiting(service, unfinished, seen, ready, replicas), reason=reason)
    proven = "Serve holds this config and every pod carries the cluster's digest"
    return Verdict("serving", proven, ready, replicas)


def _unseen(service: Object, status: Mapping[str, Any], seen: Seen, failed: str) -> Verdict | None:
    """Before the operator has taken the spec in, and has a cluster for it, nothing else is of it."""
    if not is_observed(service):
        refusal = _refusal(seen)
        if refusal and seen.unchanged_s >= REFUSED_AFTER_S:
            return Verdict("failed", f"KubeRay refuses the config: {refusal}")
        return Verdict(
            "waiting", "the operator has not seen the new spec" + (f": {refusal}" if refusal else "")
        )
    pending = (status.get("pendingServiceStatus") or {}).get("rayClusterName")
    if is_true(service, "UpgradeInProgress") or pending:
        old = (status.get("activeServiceStatus") or {}).get("rayClusterName")
        return _pending(str(pending or ""), " beside the old one" if old else "", seen, failed)
    return None


def _pending(cluster: str, beside: str, seen: Seen, failed: str) -> Verdict:
    trouble = pod_state.trouble(_of_cluster(seen.of("Pod"), cluster), seen.now)
    if trouble is not None and trouble.is_final:
        return Verdict("failed", f"the new cluster {cluster}: {trouble.message}", pod=trouble.pod)
    if failed and seen.own_word:
        return Verdict("failed", f"on the new cluster {cluster}: {failed}")
    because = f"; {trouble.message}" if trouble else ""
    return Verdict("waiting", f"a new cluster {cluster} starts{beside}{because}")


def _waiting(service: Object, unfinished: str, seen: Seen, ready: int, replicas: int) -> Verdict:
    active = ((service.get("status") or {}).get("activeServiceStatus") or {}).get("rayClusterName")
    trouble = pod_state.trouble(_of_cluster(seen.of("Pod"), str(active or "")), seen.now)
    if trouble is not None and trouble.is_final:
        return Verdict("failed", trouble.message, ready, replicas, trouble.pod)
    return Verdict("waiting", f"{unfinished}; {trouble.message}" if trouble else unfinished, ready, replicas)


def _failure(
    told: Mapping[str, Any] | None, dashboard: Mapping[str, Any] | None, ours: Mapping[str, Any]
) -> str:
    """What Serve gives up on; UNHEALTHY may pass.

    The operator's status is believed only by who cannot ask Serve: it may be of the config before.
    """
    if dashboard is not None:
        is_ours = serve_config.is_applied(ours, dashboard)
        return serve_status.failure(dashboard["applications"][ours["name"]]) if is_ours else ""
    if told is None:
        return ""
    return serve_status.failure({**told, "deployments": told.get("serveDeploymentStatuses")})


def _of_status(active: Mapping[str, Any], live: Mapping[str, Any], told: Mapping[str, Any] | None) -> str:
    statuses = active.get("applicationStatuses") or {}
    if set(statuses) != set(live):
        return f"the status tells of {', '.join(sorted(statuses)) or 'no application'}"
    return _unready(told or {}, "serveDeploymentStatuses")


def _unready(told: Mapping[str, Any], field: str) -> str:
    """What keeps an application from serving, by its status and that of its deployments in a field."""
    if told.get("status") != "RUNNING":
        return f"Serve: {told.get('status')} {serve_status.cause(str(told.get('message') or ''))}".rstrip()
    deployments = told.get(field) or {}
    if not deployments:
        return "RUNNING without any deployment"
    states = {name: deployment.get("status") for name, deployment in deployments.items()}
    unready = [f"{name} {status}" for name, status in states.items() if status not in _SERVING]
    return f"RUNNING, but {', '.join(unready)}" if unready else ""


def _of_serve(dashboard: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> str:
    """The dashboard's own word: it has the config that we sent, and its deployments serve.

    The operator's status says so, too, but what was read of it may be older than this: the old HEALTHY.
    """
    if not dashboard:
        return "Ray's dashboard does not answer"
    if not serve_config.is_applied(ours, dashboard):
        return "Serve still has the old config"
    return _unready(dashboard["applications"][ours["name"]], "deployments")


def _of_pods(service: Object, cluster: str, pods: Sequence[Object]) -> str:
    digest = annotations_of(service).get(CLUSTER_DIGEST)
    mine = pod_state.living(_of_cluster(pods, cluster))
    if not mine:
        return f"cluster {cluster} has no pods"
    others = [pod for pod in mine if pod_state.environment_digest(pod) != digest]
    if others:
        strategy = (service["spec"].get("upgradeStrategy") or {}).get("type")
        never = (
            ": upgradeStrategy None never applies a change. Delete its RayCluster"
            if strategy == "None"
            else ""
        )
        return f"{len(others)} of {len(mine)} pods of {cluster} are of another cluster spec{never}"
    return ""


def _of_cluster(pods: Sequence[Object], cluster: str) -> list[Object]:
    return [each for each in pods if cluster and labels_of(each).get(CLUSTER_LABEL) == cluster]


def _counts(dashboard: Mapping[str, Any] | None, application: str) -> tuple[int, int]:
    reported = ((dashboard or {}).get("applications") or {}).get(application) or {}
    return serve_status.replica_counts(reported.get("deployments") or {})


def _refusal(seen: Seen) -> str:
    """What the operator says against this spec; what it said before the last change was of another."""
    since = seen.now - timedelta(seconds=seen.unchanged_s + _CLOCK_SKEW_S)
    told = [event for event in seen.of("Event") if event.get("reason") in _REFUSALS and event_time(event)]
    newest = max(told, key=event_time, default=None)
    if newest is None or pod_state.instant(event_time(newest)) < since:
        return ""
    return str(newest.get("message") or "")


JUDGE = Judge(targets, verdict)
