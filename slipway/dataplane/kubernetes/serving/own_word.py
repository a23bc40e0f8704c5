"""Asking a runtime what it runs, through the API server: Slipway need not be in the cluster's network.

Belongs here: the call. Does not: which pod, port and path (an adapter's OwnWord), what the answer means (its
judge).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import ForbiddenError
from slipway.runtimes.judging.verdict import Seen, Wanted
from slipway.runtimes.workload import OwnWord

Ask = Callable[[OwnWord, Wanted, Seen], Mapping[str, Any] | None]


def through_api_server(api: KubernetesApi) -> Ask:
    """What the runtime says of itself; None while the pod does not answer.

    Asking raises ForbiddenError without the right to: waiting would not bring it.
    """

    def ask(question: OwnWord, wanted: Wanted, seen: Seen) -> Mapping[str, Any] | None:
        pod = question.pod(wanted, seen)
        if pod is None:
            return None
        try:
            answer = api.proxied(wanted.workload.namespace, pod, question.port, question.path)
        except ForbiddenError:
            raise
        except DataPlaneError:
            return None
        return answer if isinstance(answer, Mapping) else None

    return ask
