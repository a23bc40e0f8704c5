"""What goes wrong with a rollout: for each case its cause and its remedy as the message tells them.

Belongs here: the table; docs/cluster.md shows it to people. Does not: bringing it about (disrupting.py),
running it (test_bad_input.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .disrupting import (
    DEAF,
    ZEROS,
    Disrupt,
    absent_webhook,
    adding,
    changed,
    empty_registry,
    endless_finalizer,
    foreign_field,
    foreign_object,
    lost_node,
    no_namespace,
    one_verb_less,
    quota,
    refusing_webhook,
    untrusted_registry,
    wrong_pull_secret,
)


@dataclass(frozen=True)
class Case:
    """`cause` and `remedy` are patterns of the one message that the rollout ends in."""

    cause: str
    remedy: str
    disrupt: Disrupt
    deadline_s: float = 60
    fields: Mapping[str, Any] = field(default_factory=dict)


_LITTLE = {"requests": {"memory": "32Mi"}, "limits": {"memory": "32Mi"}}
_GPUS = {"requests": {"nvidia.com/gpu": "4"}, "limits": {"nvidia.com/gpu": "4"}}
_NO_SECRET = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "not-there", "key": "k"}}}]
_NO_KIND = {"apiVersion": "missing.example/v1", "kind": "Missing"}
_NO_VERSION = {"apiVersion": "apps/v9", "kind": "Deployment"}
_IN_PLACE = {"rollout": {"strategy": "in-place"}, "replicas": 1}

CASES: Mapping[str, Case] = {
    "namespace-missing": Case(r"namespace \S+-nowhere does not exist", r"Create it", no_namespace),
    "crd-missing": Case(
        r"Missing \(missing\.example/v1\) is not served.*its CRD is missing",
        r"Install the operator of missing\.example",
        changed(change=adding(_NO_KIND)),
    ),
    "crd-of-another-version": Case(
        r"the API server serves it in apps/v1, and Slipway speaks apps/v9",
        r"Install the operator in a version whose CRD serves apps/v9",
        changed(change=adding(_NO_VERSION)),
    ),
    "quota-of-objects": Case(
        r"namespace \S+ is full: team, requested: count/deployments\.apps=1",
        r"raise isolation\.quota",
        quota("count/deployments.apps"),
    ),
    "quota-of-pods": Case(r"exceeded quota: team", r"raise isolation\.quota", quota("pods")),
    "webhook-refuses": Case(
        r"the admission webhook policy\.team\.example refuses it: no GPUs on Fridays",
        r"Change the deployment, or the policy behind the webhook",
        refusing_webhook,
    ),
    "webhook-away": Case(
        r'failed calling webhook "policy\.team\.example".*connection refused',
        r"Bring back what serves the admission webhook policy\.team\.example, or remove its configuration",
        absent_webhook,
    ),
    "object-of-somebody-else": Case(
        r"Service object-of-somebody-else-\w+ in namespace \S+ exists and is not Slipway's",
        r"[Rr]emove|[Rr]ename|[Dd]elete",
        foreign_object,
    ),
    "field-of-somebody-else": Case(
        r"spec\.replicas is owned by argocd-controller",
        r"SLIPWAY_KUBE_FORCE=1, or let their owner give them up",
        foreign_field,
        fields=_IN_PLACE,
    ),
    "verb-missing": Case(
        r"may not create deployments", r'Add to its Role: .*verbs: \["create"\]', one_verb_less
    ),
    "image-not-found": Case(
        r"ErrImagePull: .*not found", r"The registry has no such image: correct the engine's", empty_registry
    ),
    "pull-secret-wrong": Case(
        r"ErrImagePull: .*(401 Unauthorized|authorization failed|denied)",
        r"give the Secret in `pull_secrets` .* an account that may pull",
        wrong_pull_secret,
    ),
    "registry-not-trusted": Case(
        r"ErrImagePull: .*x509: certificate signed by unknown authority",
        r"give the container runtime of the nodes its CA",
        untrusted_registry,
    ),
    "registry-away": Case(
        r"registry\.nowhere\.test",
        r"see that it reaches the registry",
        changed(container={"image": f"registry.nowhere.test/engine@{ZEROS}"}),
        deadline_s=8,
    ),
    "image-name-wrong": Case(
        r"InvalidImageName", r"Correct the engine's image", changed(container={"image": "no such image"})
    ),
    "out-of-memory": Case(
        r"OOMKilled: it used more than its memory limit",
        r"Raise resources\.limits\.memory",
        changed(container={"args": ["eat"], "resources": _LITTLE}),
    ),
    "crash-loop": Case(
        r"ended [34] times, last with exit code 3.*crashed as it was told to",
        r"correct args, env or the image",
        changed(container={"args": ["crash"]}),
    ),
    "never-ready": Case(
        r"(not within 8 s|timed out progressing).*Readiness probe failed",
        r"raise rollout\.deadline_s",
        changed(container={"readinessProbe": DEAF}),
        deadline_s=8,
    ),
    "unschedulable-gpu": Case(
        r"Insufficient nvidia\.com/gpu.*asks for nvidia\.com/gpu=4: 0/",
        r"Add a node that has what is asked for",
        changed(container={"resources": _GPUS}),
        deadline_s=5,
    ),
    "secret-missing": Case(
        r'secret "not-there" not found', r"Make the Secret", changed(container={"env": _NO_SECRET})
    ),
    "node-lost": Case(
        r"is on node slipway-node-2, which does not answer any more: "
        r"(NodeStatusUnknown|it was last heard of).*end of its pods",
        r"Bring the node back, or remove it",
        lost_node,
        deadline_s=55,
    ),
    "finalizer-that-never-ends": Case(
        r"InvalidImageName.*could not be undone: .*example\.com/never",
        r"kubectl patch deployment.*The next rollout tries again",
        endless_finalizer,
    ),
}
