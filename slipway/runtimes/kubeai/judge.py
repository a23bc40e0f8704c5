"""Judging a KubeAI Model by its pods.

Belongs here: when a Model runs a digest. Pure. Does not: the pods' own judgement (slipway.runtimes.judging).

The traps: its status has two numbers, no generation, and for about 3 s after a change they are the old
pods', as if all were ready. A surge pod that cannot start hangs for ever while the old one serves, and the
numbers stay full. So: all pods share one pod hash, as many are ready as are wanted, each has our digest.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import Object, labels_of
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted
from slipway.runtimes.rendering import identity

MODEL_LABEL, POD_HASH = "model", "pod-hash"


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The deployment's Models, and the pods of this one: KubeAI labels them with its name."""
    ref = wanted.workload
    ours = f"{identity.MANAGED_BY}={identity.SLIPWAY},{identity.DEPLOYMENT}={wanted.deployment}"
    return {
        ref.kind: Target(ref.api_version, ref.kind, ref.namespace, labels=ours),
        "Pod": Target("v1", "Pod", ref.namespace, labels=f"{MODEL_LABEL}={ref.name}"),
    }


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Judge a Model: by its pods, not by its status."""
    model = seen.named(wanted.workload.kind, wanted.workload.name)
    if model is None:
        return Verdict("missing", "the Model is not there")
    spec = model["spec"]
    replicas = int(spec.get("replicas") or 0)
    pods = pod_state.living(seen.of("Pod"))
    new = pod_state.carrying(pods, wanted.spec_digest)
    ready = sum(pod_state.is_ready(pod) for pod in new)
    digest = (spec.get("env") or {}).get(identity.SPEC_DIGEST_ENV)
    if digest != wanted.spec_digest:
        return Verdict("overtaken", f"it has spec {(digest or 'of nobody')[:8]}", ready, replicas)
    trouble = pod_state.trouble(new, seen.now)
    if trouble is not None and trouble.is_final:
        return Verdict("failed", trouble.message, ready, replicas, trouble.pod)
    if spec.get("cacheProfile") and not ((model.get("status") or {}).get("cache") or {}).get("loaded"):
        return Verdict("waiting", "its cache is not loaded", ready, replicas)
    if replicas == 0:
        message = "its operator has not set replicas" if "replicas" not in spec else "at zero replicas"
        return Verdict("waiting" if "replicas" not in spec else "idle", message, ready, 0)
    unfinished = _unfinished(pods, new, ready, replicas)
    if unfinished:
        cause = f"{unfinished}; {trouble.message}" if trouble else unfinished
        return Verdict("waiting", cause, ready, replicas)
    return Verdict("serving", "every pod has one hash and carries the spec digest", ready, replicas)


def _unfinished(pods: list[Object], new: list[Object], ready: int, replicas: int) -> str:
    if len(new) < len(pods):
        return f"{len(pods) - len(new)} pods carry another spec"
    hashes = {labels_of(each).get(POD_HASH) for each in pods}
    if len(hashes) > 1:
        return f"pods of {len(hashes)} hashes"
    if ready < replicas:
        return f"{ready} of {replicas} pods are ready"
    return ""


JUDGE = Judge(targets, verdict)
