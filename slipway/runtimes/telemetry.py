"""Live metrics: objects of the Prometheus operator, where the surroundings have one.

Belongs here: PodMonitors of engines. Does not: what is measured (the engines), hours (slipway.metering).
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes import identity
from slipway.runtimes.rendered import Object
from slipway.runtimes.surroundings import Surroundings

INTERVAL = "15s"


def wanted(resolved: ResolvedDeployment, surroundings: Surroundings) -> bool:
    """Whether to scrape: asked for, and somebody there to do it (an unknown kind would fail the rollout)."""
    return resolved.deployment.telemetry and surroundings.prometheus is not None


def pod_monitor(
    resolved: ResolvedDeployment, surroundings: Surroundings, selected: Mapping[str, str], port: str | int
) -> list[Object]:
    """A PodMonitor over the pods with these labels and a port's name or number; none when it is off."""
    if not wanted(resolved, surroundings):
        return []
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": identity.metadata(resolved, surroundings),
            "spec": {
                "selector": {"matchLabels": dict(selected)},
                "podTargetLabels": [identity.DEPLOYMENT, identity.REVISION],
                "podMetricsEndpoints": [
                    {
                        "portNumber" if isinstance(port, int) else "port": port,
                        "path": "/metrics",
                        "interval": INTERVAL,
                    }
                ],
            },
        }
    ]
