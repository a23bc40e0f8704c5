"""Judging the Deployment of a tenant gateway.

Belongs here: what to look at, and when all its replicas are of the wanted spec. Pure.
Does not: engines (slipway.runtimes.judging.deployments), whose pods are found by other labels.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.runtimes.cluster import gateway
from slipway.runtimes.judging import deployments, pod_state
from slipway.runtimes.judging.objects import Object, Ref
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted


def wanted(endpoint: str, workload: Ref, rendered: Object) -> Wanted:
    """The rendered gateway of an endpoint, to wait for."""
    digest = pod_state.digest_of(rendered["spec"]["template"]) or ""
    return Wanted(workload.name, endpoint, digest, workload, rendered)


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The Deployment, and the pods of the endpoint."""
    labels, namespace = f"{gateway.ENDPOINT}={wanted.deployment}", wanted.workload.namespace
    return {
        "Deployment": Target("apps/v1", "Deployment", namespace, labels=labels),
        "Pod": Target("v1", "Pod", namespace, labels=labels),
    }


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """As for a plain Deployment of ours."""
    deployment = seen.named("Deployment", wanted.workload.name)
    if deployment is None:
        return Verdict("missing", "the Deployment is not there")
    return deployments.judge(deployment, seen.of("Pod"), wanted.spec_digest, seen, is_ours=True)


JUDGE = Judge(targets, verdict)
