"""Asking Ray's dashboard in a cluster, through the API server: Slipway need not be in the cluster's network.

Belongs here: which head pod, and the call. Does not: what the answer means (serving/kuberay.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import ForbiddenError
from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import Object, labels_of
from slipway.runtimes.judging.verdict import Seen, Wanted
from slipway.runtimes.kuberay.judge import CLUSTER_LABEL

Dashboard = Callable[[Wanted, Seen], Mapping[str, Any] | None]

_PORT = 8265
_NODE_TYPE = "ray.io/node-type"


def through_api_server(api: KubernetesApi) -> Dashboard:
    """The document of Serve in the newest cluster; None while its head does not answer.

    Asking raises ForbiddenError without the right to: waiting would not bring it.
    """

    def ask(wanted: Wanted, seen: Seen) -> Mapping[str, Any] | None:
        head = head_pod(wanted, seen)
        if head is None:
            return None
        try:
            found = api.proxied(wanted.workload.namespace, head, _PORT, "/api/serve/applications/")
        except ForbiddenError:
            raise
        except DataPlaneError:
            return None
        return found if isinstance(found, Mapping) else None

    return ask


def head_pod(wanted: Wanted, seen: Seen) -> str | None:
    """Name of the ready head of the cluster that gets the config: the pending one, else the active one."""
    service = seen.named(wanted.workload.kind, wanted.workload.name) or {}
    status = service.get("status") or {}
    told = (status.get(each) or {} for each in ("pendingServiceStatus", "activeServiceStatus"))
    cluster = next((each["rayClusterName"] for each in told if each.get("rayClusterName")), None)
    heads = (each for each in seen.of("Pod") if cluster and _is_head(each, str(cluster)))
    return next((str(each["metadata"]["name"]) for each in heads if pod_state.is_ready(each)), None)


def _is_head(pod: Object, cluster: str) -> bool:
    labels = labels_of(pod)
    return labels.get(CLUSTER_LABEL) == cluster and labels.get(_NODE_TYPE) == "head"
