"""Judging a Deployment and its pods: of our own, and of operators that make one.

Belongs here: when a Deployment truly runs a digest. Pure. Does not: the custom resources above it.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status

The trap: Available is True all the way through a rollout that never ends, and the counts are the old
template's until the controller has seen the new generation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import Object, condition, is_observed
from slipway.runtimes.judging.verdict import Judge, Seen, State, Target, Verdict, Wanted
from slipway.runtimes.rendering import identity

_REPLICA_SET = re.compile(r'ReplicaSet "([^"]+)"')

# Pods that cannot be made (quota, an account that is not there) may be the matter of a moment.
REPLICA_GRACE_S = 30.0


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The deployment's Deployments, and this application's pods."""
    namespace = wanted.workload.namespace
    ours = f"{identity.MANAGED_BY}={identity.SLIPWAY},{identity.DEPLOYMENT}={wanted.deployment}"
    return {
        "Deployment": Target("apps/v1", "Deployment", namespace, labels=ours),
        "Pod": pods_of(wanted),
    }


def pods_of(wanted: Wanted) -> Target:
    """Pods with the application's label."""
    selector = f"{identity.INSTANCE}={wanted.application}"
    return Target("v1", "Pod", wanted.workload.namespace, labels=selector)


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Judge a plain Deployment of ours."""
    deployment = seen.named("Deployment", wanted.workload.name)
    if deployment is None:
        return Verdict("missing", "the Deployment is not there")
    return judge(deployment, seen.of("Pod"), wanted.spec_digest, seen, is_ours=True)


def judge(
    deployment: Object, pods: Sequence[Object], digest: str, seen: Seen, *, is_ours: bool = False
) -> Verdict:
    """Whether this Deployment runs the digest with all its replicas, and nothing else.

    `is_ours`: nobody but Slipway writes it, so that another digest means another rollout.
    """
    status: Mapping[str, Any] = deployment.get("status") or {}
    replicas = int(deployment["spec"].get("replicas", 1))
    new = pod_state.carrying(pod_state.living(pods), digest)
    ready = sum(pod_state.is_ready(pod) for pod in new)
    template = pod_state.digest_of(deployment["spec"]["template"])
    if template != digest:
        state: State = "overtaken" if is_ours else "waiting"
        message = f"its template has spec {_short(template)}"
        return Verdict(state, message, ready, replicas, reason="other-template")
    if not is_observed(deployment):
        return Verdict("waiting", "the controller has not seen the new spec", ready, replicas)
    failed = _failure(
        deployment, new, seen, others=[pod for pod in pods if pod_state.digest_of(pod) != digest]
    )
    if failed is not None:
        return Verdict("failed", failed.message, ready, replicas, failed.pod)
    if replicas == 0:
        return Verdict("idle", "at zero replicas", ready, 0)
    unfinished = _unfinished(status, replicas, pods, digest, ready)
    if unfinished:
        trouble = pod_state.trouble(new, seen.now)
        message = f"{unfinished}; {trouble.message if trouble else _pods(new)}"
        return Verdict("waiting", message, ready, replicas, trouble.pod if trouble else "")
    return Verdict("serving", "every ready pod carries the spec digest", ready, replicas)


def _failure(
    deployment: Object, pods: Sequence[Object], seen: Seen, *, others: Sequence[Object] = ()
) -> pod_state.Trouble | None:
    trouble = pod_state.trouble(pods, seen.now)
    if trouble is not None and trouble.is_final:
        return trouble
    progressing = condition(deployment, "Progressing")
    late = progressing is not None and progressing.get("reason") == "ProgressDeadlineExceeded"
    if progressing is not None and late and not _is_of(others, str(progressing.get("message"))):
        message = f"{progressing.get('message')}" + (f" {trouble.message}" if trouble else "")
        return pod_state.Trouble(trouble.pod if trouble else "", message, True)
    cannot = condition(deployment, "ReplicaFailure")
    if cannot is not None and cannot.get("status") == "True":
        since = cannot.get("lastTransitionTime")
        age_s = (seen.now - pod_state.instant(since)).total_seconds() if since else 0.0
        if age_s >= REPLICA_GRACE_S:
            return pod_state.Trouble("", f"pods cannot be made: {cannot.get('message')}", True)
    return None


def _is_of(others: Sequence[Object], message: str) -> bool:
    """Whether the ReplicaSet that a condition names is that of these pods.

    For a moment after a template was applied the controller's word is of the one before, though it has seen
    the new generation: a spec that was late is not this one.
    """
    named = _REPLICA_SET.search(message)
    return named is not None and any(
        str(pod["metadata"]["name"]).rpartition("-")[0] == named[1] for pod in others
    )


def _unfinished(
    status: Mapping[str, Any], replicas: int, pods: Sequence[Object], digest: str, ready: int
) -> str:
    """What is left to happen; empty when nothing is."""
    updated, available, total = (
        int(status.get(name) or 0) for name in ("updatedReplicas", "availableReplicas", "replicas")
    )
    if updated < replicas:
        return f"{updated} of {replicas} replicas are of the new spec"
    if available < replicas:
        return f"{available} of {replicas} replicas are available"
    if total > replicas:
        return f"{total - replicas} old replicas are left"
    others = [each for each in pods if pod_state.is_ready(each) and pod_state.digest_of(each) != digest]
    if others:
        return f"{len(others)} ready pods carry another spec"
    if ready < replicas:
        return f"{ready} of {replicas} pods are ready"
    return ""


def _pods(pods: Sequence[Object]) -> str:
    return f"pods: {pod_state.phases(pods) or 'none'}"


def _short(digest: str | None) -> str:
    return digest[:8] if digest else "of nobody"


JUDGE = Judge(targets, verdict)
