"""Judging a NIMService by the Deployment of its name.

Belongs here: when it runs a digest. Pure. Does not: the Deployment's judgement (slipway.runtimes.judging).

The traps: `state: Ready` carries no generation and lags a change by 0.15 s; zero replicas show NotReady; a
bad image or a missing secret is NotReady for ever, never Failed.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.runtimes.judging import deployments
from slipway.runtimes.judging.deployments import pods_of
from slipway.runtimes.judging.objects import annotations_of, condition
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted
from slipway.runtimes.rendering import identity

# The state of before a change is still shown for 0.15 s; one that stays this long is of the new spec.
FAILED_AFTER_S = 5.0


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The deployment's services, the Deployment of this one's name, and its pods."""
    ref = wanted.workload
    ours = f"{identity.MANAGED_BY}={identity.SLIPWAY},{identity.DEPLOYMENT}={wanted.deployment}"
    return {
        ref.kind: Target(ref.api_version, ref.kind, ref.namespace, labels=ours),
        "Deployment": Target("apps/v1", "Deployment", ref.namespace, fields=f"metadata.name={ref.name}"),
        "Pod": pods_of(wanted),
    }


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Judge a NIMService; Failed is believed once it stays."""
    service = seen.named(wanted.workload.kind, wanted.workload.name)
    if service is None:
        return Verdict("missing", "the NIMService is not there")
    digest = annotations_of(service).get(identity.SPEC_DIGEST)
    if digest != wanted.spec_digest:
        return Verdict("overtaken", f"it has spec {(digest or 'of nobody')[:8]}")
    if (service.get("status") or {}).get("state") == "Failed" and seen.unchanged_s >= FAILED_AFTER_S:
        reported = condition(service, "Failed") or condition(service, "Ready") or {}
        return Verdict(
            "failed", f"NIM operator: {reported.get('reason', 'Failed')}: {reported.get('message', '')}"
        )
    deployment = seen.named("Deployment", wanted.workload.name)
    if deployment is None:
        why = str((condition(service, "Ready") or {}).get("message") or "")  # such as a cache that is filled
        return Verdict("waiting", "the operator has not made its Deployment" + (f": {why}" if why else ""))
    return deployments.judge(deployment, seen.of("Pod"), wanted.spec_digest, seen)


JUDGE = Judge(targets, verdict)
