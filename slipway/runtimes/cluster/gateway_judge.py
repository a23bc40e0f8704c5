"""Judging the StatefulSet of a tenant gateway.

Belongs here: what to look at, and when all its replicas are of the wanted spec. Pure.
Does not: engines (slipway.runtimes.judging.deployments), whose pods are found by other labels.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#rolling-updates

The counts of its status are not asked: updatedReplicas counts pods that are not ready, and after an update
all counts are the old template's until the controller has seen the new generation. Its pods tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from slipway.runtimes.cluster import gateway
from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import Object, Ref, is_deleted, is_observed
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted


def wanted(endpoint: str, workload: Ref, rendered: Object) -> Wanted:
    """The rendered gateway of an endpoint, to wait for."""
    digest = pod_state.digest_of(rendered["spec"]["template"]) or ""
    return Wanted(workload.name, endpoint, digest, workload, rendered)


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The StatefulSet, and the pods of the endpoint."""
    labels, namespace = f"{gateway.ENDPOINT}={wanted.deployment}", wanted.workload.namespace
    return {
        "StatefulSet": Target("apps/v1", "StatefulSet", namespace, labels=labels),
        "Pod": Target("v1", "Pod", namespace, labels=labels),
    }


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Whether every replica is ready and carries the digest, and no other is left."""
    name = wanted.workload.name
    replicas = seen.named("StatefulSet", name)
    if replicas is None:
        return Verdict("missing", "the StatefulSet is not there")
    pods = [each for each in seen.of("Pod") if re.fullmatch(rf"{re.escape(name)}-\d+", _name(each))]
    new = pod_state.carrying(pod_state.living(pods), wanted.spec_digest)
    ready, count = sum(pod_state.is_ready(pod) for pod in new), int(replicas["spec"].get("replicas", 1))
    if pod_state.digest_of(replicas["spec"]["template"]) != wanted.spec_digest:
        return Verdict("overtaken", "its template has another spec", ready, count, reason="other-template")
    if not is_observed(replicas):
        return Verdict("waiting", "the controller has not seen the new spec", ready, count)
    trouble = pod_state.trouble(new, seen.now)
    if trouble is not None and trouble.is_final:
        return Verdict("failed", trouble.message, ready, count, trouble.pod)
    if count == 0:
        return Verdict("idle", "at zero replicas", ready, 0)
    unfinished = _unfinished(pods, new, ready, count)
    if unfinished:
        why = f"; {trouble.message}" if trouble is not None else ""
        return Verdict("waiting", unfinished + why, ready, count)
    return Verdict("serving", "every replica is ready and carries the spec digest", ready, count)


def _unfinished(pods: Sequence[Object], new: Sequence[Object], ready: int, count: int) -> str:
    """What is left to happen; empty when nothing is."""
    old = len(pods) - len(new)
    if ready < count or old:
        ending = sum(is_deleted(each) for each in pods)
        drains = f", {ending} of those that end still drain" if ending else ""
        return f"{ready} of {count} replicas are ready and of the new spec{drains}"
    return f"{ready - count} replicas too many are left" if ready > count else ""


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


JUDGE = Judge(targets, verdict)
