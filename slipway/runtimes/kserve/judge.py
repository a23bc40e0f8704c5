"""Judging KServe's InferenceService and LLMInferenceService by the Deployment that they make.

Belongs here: when either runs a digest. Pure.
Does not: the Deployment's judgement (slipway.runtimes.judging).

The traps: Ready stays True while rolling, with an image that cannot be pulled, and at zero replicas. The
InferenceService's observedGeneration is the child Deployment's, so it says nothing of the service and stays
behind for good when only bounds of replicas change. The Deployment is read instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.runtimes.judging import deployments
from slipway.runtimes.judging.deployments import pods_of
from slipway.runtimes.judging.objects import annotations_of, condition
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted
from slipway.runtimes.rendering import identity

STOP = "serving.kserve.io/stop"
# A refusal by the operator (an invalid Deployment, a runtime that is not there) shows as a condition alone.
REFUSED_AFTER_S = 20.0

_SUFFIX = {"InferenceService": "-predictor", "LLMInferenceService": "-kserve"}


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The deployment's services, the Deployment of this one by name, and its pods."""
    ref = wanted.workload
    ours = f"{identity.MANAGED_BY}={identity.SLIPWAY},{identity.DEPLOYMENT}={wanted.deployment}"
    return {
        ref.kind: Target(ref.api_version, ref.kind, ref.namespace, labels=ours),
        "Deployment": Target(
            "apps/v1", "Deployment", ref.namespace, fields=f"metadata.name={child(ref.kind, ref.name)}"
        ),
        "Pod": pods_of(wanted),
    }


def child(kind: str, name: str) -> str:
    """Name of the Deployment that KServe makes."""
    return f"{name}{_SUFFIX[kind]}"


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Judge a service: by its Deployment, that one's generation, and its pods."""
    kind = wanted.workload.kind
    service = seen.named(kind, wanted.workload.name)
    if service is None:
        return Verdict("missing", f"the {kind} is not there")
    digest = annotations_of(service).get(identity.SPEC_DIGEST)
    if digest != wanted.spec_digest:
        return Verdict("overtaken", f"it has spec {(digest or 'of nobody')[:8]}")
    deployment = seen.named("Deployment", child(kind, wanted.workload.name))
    if deployment is None:
        if annotations_of(service).get(STOP) == "true":
            return Verdict("idle", "stopped: KServe has deleted its Deployment")
        message = f"KServe has not made its Deployment {child(kind, wanted.workload.name)}"
        return _refused(service, seen) or Verdict("waiting", message)
    judged = deployments.judge(deployment, seen.of("Pod"), wanted.spec_digest, seen)
    if judged.state == "waiting" and judged.reason == "other-template":
        return _refused(service, seen) or judged
    return judged


def _refused(service: Mapping[str, object], seen: Seen) -> Verdict | None:
    ready = condition(service, "Ready")
    if ready is None or ready.get("status") != "False" or seen.unchanged_s < REFUSED_AFTER_S:
        return None
    return Verdict("failed", f"KServe: {ready.get('reason', '')}: {ready.get('message', '')}")


JUDGE = Judge(targets, verdict)
