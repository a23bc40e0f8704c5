"""Judging a DynamoGraphDeployment by its status and its workers' pods.

Belongs here: when a graph runs a digest. Pure. Does not: the pods' own judgement (slipway.runtimes.judging).

The trap: Ready is of what the controller saw last, and during a rolling update of the workers the old ones
keep it True.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.deployments import pods_of
from slipway.runtimes.judging.objects import Object, annotations_of, condition, is_observed, is_true
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted
from slipway.runtimes.rendering import identity


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The deployment's graphs, and this one's pods, frontend and workers."""
    ref = wanted.workload
    ours = f"{identity.MANAGED_BY}={identity.SLIPWAY},{identity.DEPLOYMENT}={wanted.deployment}"
    return {ref.kind: Target(ref.api_version, ref.kind, ref.namespace, labels=ours), "Pod": pods_of(wanted)}


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Generation observed, Ready, no rolling update under way, and every pod with our digest."""
    graph = seen.named(wanted.workload.kind, wanted.workload.name)
    if graph is None:
        return Verdict("missing", "the DynamoGraphDeployment is not there")
    replicas = sum(int(component.get("replicas") or 0) for component in components(graph))
    pods = pod_state.living(seen.of("Pod"))
    new = pod_state.carrying(pods, wanted.spec_digest)
    ready = sum(pod_state.is_ready(pod) for pod in new)
    digest = annotations_of(graph).get(identity.SPEC_DIGEST)
    if digest != wanted.spec_digest:
        return Verdict("overtaken", f"it has spec {(digest or 'of nobody')[:8]}", ready, replicas)
    if not is_observed(graph):
        return Verdict("waiting", "the operator has not seen the new spec", ready, replicas)
    trouble = pod_state.trouble(new, seen.now)
    if trouble is not None and trouble.is_final:
        return Verdict("failed", trouble.message, ready, replicas, trouble.pod)
    unfinished = _unfinished(graph, pods, new)
    if unfinished:
        message = f"{unfinished}; {trouble.message}" if trouble else unfinished
        return Verdict("waiting", message, ready, replicas)
    return Verdict(
        "serving", "all resources are ready and every pod carries the spec digest", ready, replicas
    )


def components(graph: Object) -> list[dict[str, Any]]:
    """Frontend and workers, as they are wanted."""
    return list(graph["spec"].get("components") or ())


def _unfinished(graph: Object, pods: list[Object], new: list[Object]) -> str:
    status: Mapping[str, Any] = graph.get("status") or {}
    if not is_true(graph, "Ready"):
        ready = condition(graph, "Ready") or {}
        return f"not Ready: {ready.get('message') or ready.get('reason') or 'no condition yet'}"
    phase = (status.get("rollingUpdate") or {}).get("phase") or ""
    if phase not in ("", "Completed"):
        return f"rolling update: {phase}"
    if len(new) < len(pods):
        return f"{len(pods) - len(new)} pods carry another spec"
    if not any(pod_state.is_ready(pod) for pod in new):
        return "no pod is ready"
    return ""


JUDGE = Judge(targets, verdict)
