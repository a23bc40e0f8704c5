"""Nodes that do not answer: what a pod there last said of itself is no longer what is.

Belongs here: finding such nodes when a verdict is made, and saying since when. Does not: judging the pods
(slipway.runtimes), what a person can do (remedies.py).
A kubelet renews its node's lease every 10 s; the node's conditions turn only after the controller's grace
period (40 s to 50 s by default), so the lease is what is looked at first.
Source: https://kubernetes.io/docs/concepts/architecture/nodes/#heartbeats
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import Object, Ref, condition

LEASES = "kube-node-lease"
# One renewal that is missed may be a busy machine.
_SILENT_AFTER_S = 15.0


def silent(api: KubernetesApi, pods: Sequence[Object], now: datetime) -> Mapping[str, str]:
    """Of the pods that are not ready, those whose node does not answer: a sentence by the pod's name.

    What may not be read is left out: without rights to leases, a node's conditions tell later.
    """
    waiting = [each for each in pods if not pod_state.is_ready(each) and node_of(each)]
    if not waiting:
        return {}
    leases = _leases(api)
    nodes = {name: _node(api, name) for name in sorted({node_of(each) for each in waiting})}
    sentences = {}
    for pod in waiting:
        name = node_of(pod)
        sentence = lost(pod, nodes[name], silence_s(name, leases, now))
        if sentence:
            sentences[str(pod["metadata"]["name"])] = sentence
    return sentences


def node_of(pod: Object) -> str:
    """The node that a pod is bound to; empty before there is one."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


def silence_s(node: str, leases: Iterable[Object], now: datetime) -> float | None:
    """Seconds since a node was last heard of; None when nothing is known of its lease.

    Measured against the newest renewal of any node, so that this machine's clock does not matter; with one
    node alone against `now`.
    """
    renewed = {
        str(lease["metadata"]["name"]): pod_state.instant(str(lease["spec"]["renewTime"]))
        for lease in leases
        if (lease.get("spec") or {}).get("renewTime")
    }
    last = renewed.pop(node, None)
    if last is None:
        return None
    return max(((max(renewed.values()) if renewed else now) - last).total_seconds(), 0.0)


def lost(pod: Object, node: Object | None, silence: float | None = None) -> str:
    """Why a pod's node is no place to start; empty where it is one, or nobody knows.

    `node` is None when it is not known, `{}` when it is gone; `silence` as `silence_s` has it.
    """
    if node is None and silence is None:
        return ""
    where = f"{pod['metadata']['name']} is on node {node_of(pod)}, which does not answer any more"
    if node == {}:
        return f"{where}: it was removed from the cluster"
    ready = condition(node, "Ready") if node else None
    if ready is not None and ready.get("status") != "True":
        return f"{where}: {ready.get('reason', '')}: {ready.get('message', '')}"
    if silence is not None and silence >= _SILENT_AFTER_S:
        return f"{where}: it was last heard of {silence:.0f} s ago, and says so every 10 s otherwise"
    return ""


def _node(api: KubernetesApi, name: str) -> Object | None:
    try:
        return api.get(Ref("v1", "Node", "", name)) or {}
    except DataPlaneError:
        return None


def _leases(api: KubernetesApi) -> tuple[Object, ...]:
    try:
        return tuple(api.list("coordination.k8s.io/v1", "Lease", LEASES).objects)
    except DataPlaneError:
        return ()
