"""Judging a LeaderWorkerSet: several nodes per replica. Its status is honest.

Belongs here: when its groups run a digest. Pure.
Does not: the pods' own judgement (slipway.runtimes.judging).
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.deployments import pods_of
from slipway.runtimes.judging.objects import is_observed, is_true
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted
from slipway.runtimes.rendering import identity


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The deployment's sets, and this application's pods, leaders and workers."""
    ref = wanted.workload
    ours = f"{identity.MANAGED_BY}={identity.SLIPWAY},{identity.DEPLOYMENT}={wanted.deployment}"
    return {ref.kind: Target(ref.api_version, ref.kind, ref.namespace, labels=ours), "Pod": pods_of(wanted)}


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Generation observed, Available, updated = ready = replicas, and each pod's digest."""
    worker_set = seen.named(wanted.workload.kind, wanted.workload.name)
    if worker_set is None:
        return Verdict("missing", "the LeaderWorkerSet is not there")
    status, spec = worker_set.get("status") or {}, worker_set["spec"]
    replicas, ready = int(spec.get("replicas", 1)), int(status.get("readyReplicas") or 0)
    template = pod_state.digest_of(spec["leaderWorkerTemplate"]["workerTemplate"])
    if template != wanted.spec_digest:
        return Verdict("overtaken", f"its template has spec {(template or 'of nobody')[:8]}", ready, replicas)
    if not is_observed(worker_set):
        return Verdict("waiting", "the controller has not seen the new spec", ready, replicas)
    pods = pod_state.living(seen.of("Pod"))
    trouble = pod_state.trouble(pod_state.carrying(pods, wanted.spec_digest), seen.now)
    if trouble is not None and trouble.is_final:
        return Verdict("failed", trouble.message, ready, replicas, trouble.pod)
    if replicas == 0:
        return Verdict("idle", "at zero replicas", ready, 0)
    updated = int(status.get("updatedReplicas") or 0)
    if not (is_true(worker_set, "Available") and updated == ready == replicas):
        message = f"{updated} of {replicas} groups are of the new spec, {ready} ready"
        return Verdict("waiting", f"{message}; {trouble.message}" if trouble else message, ready, replicas)
    others = [each for each in pods if pod_state.digest_of(each) != wanted.spec_digest]
    if others:
        return Verdict("waiting", f"{len(others)} pods carry another spec", ready, replicas)
    return Verdict("serving", "every pod carries the spec digest", ready, replicas)


JUDGE = Judge(targets, verdict)
