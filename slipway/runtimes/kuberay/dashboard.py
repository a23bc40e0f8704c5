"""Which pod answers for Ray's dashboard: the head of the cluster that gets the config.

Belongs here: finding it. Pure. Does not: asking it (slipway.dataplane.kubernetes.serving.own_word), what the
answer means (judge.py).
"""

from __future__ import annotations

from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import Object, labels_of
from slipway.runtimes.judging.verdict import Seen, Wanted
from slipway.runtimes.kuberay.judge import CLUSTER_LABEL

PORT = 8265
SERVE = "/api/serve/applications/"

_NODE_TYPE = "ray.io/node-type"


def head_pod(wanted: Wanted, seen: Seen) -> str | None:
    """Name of the ready head of the cluster that gets the config: the pending one, else the active one."""
    service = seen.named(wanted.workload.kind, wanted.workload.name) or {}
    status = service.get("status") or {}
    told = (status.get(field) or {} for field in ("pendingServiceStatus", "activeServiceStatus"))
    cluster = next((part["rayClusterName"] for part in told if part.get("rayClusterName")), None)
    heads = (pod for pod in seen.of("Pod") if cluster and _is_head(pod, str(cluster)))
    return next((str(pod["metadata"]["name"]) for pod in heads if pod_state.is_ready(pod)), None)


def _is_head(pod: Object, cluster: str) -> bool:
    labels = labels_of(pod)
    return labels.get(CLUSTER_LABEL) == cluster and labels.get(_NODE_TYPE) == "head"
