"""Judging one application of a RayService: the service, its cluster, Serve's own word, and the pods.

Belongs here: when a RayService serves an application of its config. Pure.
Does not: Serve's messages (slipway.dataplane.serve_status), asking the dashboard (dashboards.py).

The traps: Ready only means numServeEndpoints > 0. After a change the status shows the new observedGeneration
with the old RUNNING for about 2 s, so Serve itself must hold our configuration. A config that Ray refuses
leaves observedGeneration behind, with an event and no condition. An application's deployments may be an empty
map. A broken second cluster hangs while the first serves. `upgradeStrategy: None` never applies a change of
the cluster, so the pods' digest is read, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from slipway.dataplane import serve_config, serve_status
from slipway.dataplane.kubernetes.objects import Object, annotations_of, is_observed, is_true, labels_of
from slipway.dataplane.kubernetes.serving import pods as judging
from slipway.dataplane.kubernetes.serving.verdict import Judge, Seen, Verdict, Wanted
from slipway.dataplane.kubernetes.watch import Target
from slipway.runtimes.kuberay import CLUSTER_DIGEST

CLUSTER_LABEL = "ray.io/cluster"
# KubeRay tells of a refused config by an event alone; one that stays unseen this long was refused.
REFUSED_AFTER_S = 10.0

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
    found = seen.named(wanted.workload.kind, wanted.workload.name)
    if found is None:
        return Verdict("missing", "the RayService is not there")
    ours, live = applications(wanted.rendered)[wanted.application], applications(found)
    if serve_config.differences(ours, live.get(wanted.application, {})):
        said = "has another config now" if wanted.application in live else "is not in the config any more"
        return Verdict("overtaken", f"{wanted.application} {said}")
    status = found.get("status") or {}
    active = status.get("activeServiceStatus") or {}
    ready, replicas = _counts(seen.dashboard, wanted.application)
    unseen = _unseen(found, status, seen)
    if unseen is not None:
        return Verdict(unseen.state, unseen.message, ready, replicas)
    told = (active.get("applicationStatuses") or {}).get(wanted.application)
    failed = _failure(told)
    if failed:
        return Verdict("failed", failed, ready, replicas)
    unfinished = (
        _of_status(active, live, told)
        or _of_serve(seen.dashboard, ours)
        or _of_pods(found, str(active.get("rayClusterName") or ""), seen.of("Pod"))
    )
    if unfinished:
        return _waiting(found, unfinished, seen, ready, replicas)
    proven = "Serve holds this config and every pod carries the cluster's digest"
    return Verdict("serving", proven, ready, replicas)


def _unseen(service: Object, status: Mapping[str, Any], seen: Seen) -> Verdict | None:
    """Before the operator has taken the spec in, nothing else in the status is of it."""
    if not is_observed(service):
        said = _last_warning(seen.of("Event"))
        if said and seen.unchanged_s >= REFUSED_AFTER_S:
            return Verdict("failed", f"KubeRay refuses the config: {said}")
        return Verdict("waiting", "the operator has not seen the new spec" + (f": {said}" if said else ""))
    pending = (status.get("pendingServiceStatus") or {}).get("rayClusterName")
    if is_true(service, "UpgradeInProgress") or pending:
        trouble = judging.trouble(_of_cluster(seen.of("Pod"), str(pending or "")), seen.now)
        if trouble is not None and trouble.is_final:
            return Verdict("failed", f"the new cluster {pending}: {trouble.message}", pod=trouble.pod)
        said = f"; {trouble.message}" if trouble else ""
        return Verdict("waiting", f"a new cluster {pending or ''} starts beside the old one{said}")
    return None


def _waiting(service: Object, unfinished: str, seen: Seen, ready: int, replicas: int) -> Verdict:
    active = ((service.get("status") or {}).get("activeServiceStatus") or {}).get("rayClusterName")
    trouble = judging.trouble(_of_cluster(seen.of("Pod"), str(active or "")), seen.now)
    if trouble is not None and trouble.is_final:
        return Verdict("failed", trouble.message, ready, replicas, trouble.pod)
    return Verdict("waiting", f"{unfinished}; {trouble.message}" if trouble else unfinished, ready, replicas)


def _failure(told: Mapping[str, Any] | None) -> str:
    """What Serve gives up on; UNHEALTHY may pass."""
    if told is None or told.get("status") != "DEPLOY_FAILED":
        return ""
    said = [str(told.get("message") or "")]
    said += [str(each.get("message") or "") for each in (told.get("serveDeploymentStatuses") or {}).values()]
    return f"DEPLOY_FAILED: {serve_status.cause(chr(10).join(said))}"


def _of_status(active: Mapping[str, Any], live: Mapping[str, Any], told: Mapping[str, Any] | None) -> str:
    statuses = active.get("applicationStatuses") or {}
    if set(statuses) != set(live):
        return f"the status tells of {', '.join(sorted(statuses)) or 'no application'}"
    if told is None or told.get("status") != "RUNNING":
        said = told or {}
        return f"Serve: {said.get('status')} {serve_status.cause(str(said.get('message') or ''))}".rstrip()
    deployments = told.get("serveDeploymentStatuses") or {}
    if not deployments:
        return "RUNNING without any deployment"
    each_of = {name: each.get("status") for name, each in deployments.items()}
    unready = [f"{name} {status}" for name, status in each_of.items() if status not in _SERVING]
    return f"RUNNING, but {', '.join(unready)}" if unready else ""


def _of_serve(dashboard: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> str:
    """The dashboard's own word: it has the config that we sent, and says RUNNING of it."""
    if dashboard is None:
        return "Ray's dashboard does not answer"
    if not serve_config.is_applied(ours, dashboard):
        return "Serve still has the old config"
    status = dashboard["applications"][ours["name"]].get("status")
    return "" if status == "RUNNING" else f"Serve: {status}"


def _of_pods(service: Object, cluster: str, pods: Sequence[Object]) -> str:
    digest = annotations_of(service).get(CLUSTER_DIGEST)
    mine = judging.living(_of_cluster(pods, cluster))
    if not mine:
        return f"cluster {cluster} has no pods"
    others = [each for each in mine if judging.environment_digest(each) != digest]
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
    found = ((dashboard or {}).get("applications") or {}).get(application) or {}
    return serve_status.replica_counts(found.get("deployments") or {})


def _last_warning(events: Sequence[Object]) -> str:
    newest = max(events, key=lambda each: str(each.get("lastTimestamp") or ""), default=None)
    return str(newest.get("message") or "") if newest else ""


JUDGE = Judge(targets, verdict)
